"""Bytes to records: each record exactly once, or one refusal of the whole object."""

import gzip
import json

import duckdb
import pytest

from etl import readers
from etl.contract import Reader

LINES = Reader(format="json_lines", compression="gzip", max_line_bytes=1000, max_object_bytes=5000)
PLAIN = Reader(format="json_lines", compression="none", max_line_bytes=1000)
TEXT = Reader(format="text_lines", compression="none", pattern=r"^(\S+)$", max_line_bytes=1000)
ARRAY = Reader(format="json_records", compression="none", records_key="Records")
ONE, TWO = b'{"n":1}', b'{"n":2}'


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(ONE + b"\n" + TWO + b"\n"),
        gzip.compress(ONE + b"\n") + gzip.compress(TWO + b"\n"),
        gzip.compress(ONE[:3]) + gzip.compress(ONE[3:] + b"\n" + TWO),
        gzip.compress(b"") + gzip.compress(ONE + b"\n") + gzip.compress(b"") + gzip.compress(TWO),
        gzip.compress(b"\xef\xbb\xbf" + ONE + b"\r\n" + TWO + b"\r\n"),
    ],
    ids=["one member", "two members", "record over two members", "empty members", "BOM and CRLF"],
)
def test_gzip_gives_each_record_once(tmp_path, body):
    assert [row["line"] for row in read(tmp_path, body, LINES)] == ['{"n":1}', '{"n":2}']


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (gzip.compress(ONE * 50)[:-9], "object_truncated"),
        (gzip.compress(ONE * 50)[:5], "object_truncated"),
        (gzip.compress(ONE) + gzip.compress(TWO)[:12], "object_truncated"),
        (ONE + b"\n" + TWO, "object_not_gzip"),
        (gzip.compress(ONE) + b"bytes that are no member", "object_not_gzip"),
        (gzip.compress(ONE)[:-8] + b"\0" * 8, "object_not_gzip"),
        (gzip.compress(b"0" * 10_000_000), "object_too_large"),
    ],
    ids=["body cut", "header cut", "2nd member cut", "plain", "tail", "checksum", "bomb"],
)
def test_an_object_that_cannot_be_decoded_is_refused_whole(tmp_path, body, reason):
    with pytest.raises(readers.Unreadable) as refused:
        read(tmp_path, body, LINES)

    assert refused.value.reason == reason


def test_a_bomb_is_stopped_soon_after_the_limit(tmp_path):
    with pytest.raises(readers.Unreadable):
        read(tmp_path, gzip.compress(b"0" * 100_000_000), LINES)

    assert (tmp_path / "plain").stat().st_size <= LINES.max_object_bytes + readers.BLOCK_BYTES


def test_a_plain_object_over_the_size_is_refused(tmp_path):
    with pytest.raises(readers.Unreadable, match="object_too_large"):
        read(tmp_path, b"x" * 11, PLAIN.model_copy(update={"max_object_bytes": 10}))


@pytest.mark.parametrize("reader", [LINES, PLAIN, TEXT], ids=["gzip", "plain", "text"])
def test_an_empty_object_has_no_record(tmp_path, reader):
    assert read(tmp_path, b"", reader) == []


@pytest.mark.parametrize("body", [b"\n\n \t\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"])
def test_blank_lines_are_no_records(tmp_path, body):
    assert read(tmp_path, body, PLAIN) == []


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n\n"])
def test_the_last_line_counts_with_or_without_its_end(tmp_path, end):
    rows = read(tmp_path, b"\n" + ONE + b"\r\n\n" + TWO + end, PLAIN)

    assert [(row["raw_line"], row["record"], row["line"]) for row in rows] == [
        (2, 1, '{"n":1}'),
        (4, 2, '{"n":2}'),
    ]


def test_only_a_line_feed_ends_a_line(tmp_path):
    line = "a\u2028b\x0bc\x85d\re\x1cf"

    assert [row["line"] for row in read(tmp_path, line.encode() + b"\nz", PLAIN)] == [line, "z"]


def test_lines_that_are_no_text_are_refused_one_by_one_with_their_bytes(tmp_path):
    rows = read(tmp_path, ONE + b"\n\xff\xfe\n\xed\xa0\x80\n" + TWO, PLAIN)

    assert [row["reader_reason"] for row in rows] == [None, "not_utf8", "not_utf8", None]
    assert [row["raw"] for row in rows] == [ONE, b"\xff\xfe", b"\xed\xa0\x80", TWO]


def test_a_nul_byte_is_kept_as_it_is(tmp_path):
    assert [row["line"] for row in read(tmp_path, b"a\0b\n\0", TEXT)] == ["a\0b", "\0"]


@pytest.mark.parametrize("size", [1001, 5 << 20, 13 << 20])
def test_a_line_that_is_too_long_is_one_refusal_and_its_neighbours_stay(tmp_path, size):
    rows = read(tmp_path, ONE + b"\n" + b"x" * size + b"\n" + TWO, PLAIN)

    assert [row["reader_reason"] for row in rows] == [None, "line_too_long", None]
    assert [row["raw_line"] for row in rows] == [1, 2, 3]
    assert len(rows[1]["raw"]) <= readers.SHOWN_BYTES


def test_of_a_line_that_is_too_long_the_beginning_is_kept_and_nothing_from_its_end(tmp_path):
    (row,) = read(tmp_path, b"a" * 2000 + b"b" * (9 << 20), PLAIN)

    assert row["raw"] == b"a" * PLAIN.max_line_bytes


def test_a_line_of_exactly_the_limit_is_read(tmp_path):
    assert [r["reader_reason"] for r in read(tmp_path, b"x" * 1000, TEXT)] == [None]


def test_lines_across_blocks_keep_their_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "BLOCK_BYTES", 7)
    body = b"".join(b'{"n":%d}\n' % n for n in range(100))

    rows = read(tmp_path, body, PLAIN)

    assert [json.loads(row["line"])["n"] for row in rows] == list(range(100))
    assert [row["raw_line"] for row in rows] == [row["record"] for row in rows]


@pytest.mark.parametrize(
    "number",
    ["12345678901234567890.123456789", "0.1234567890123456789", "-98765432109876543210", "1.5e10"],
)
@pytest.mark.parametrize("shape", ['{"q":%s}', '{"q": %s , "b":[1,%s]}', '{"b":"x","q":\t%s}'])
def test_a_number_keeps_each_digit(tmp_path, number, shape):
    (row,) = read(tmp_path, shape.replace("%s", number).encode(), PLAIN)

    assert float(value(row["line"], "$.q")) == float(number)
    if len(number) > 16:
        assert value(row["line"], "$.q") == number


def test_text_that_looks_like_a_number_is_left_alone(tmp_path):
    line = '{"s":"1,12345678901234567890","t":" 2026","q":12345678901234567890}'

    (row,) = read(tmp_path, line.encode(), PLAIN)

    assert value(row["line"], "$.s") == "1,12345678901234567890"


@pytest.mark.parametrize("tiny", ["1e-400", "-12.5E-100", "123e-325"])
def test_a_number_that_a_double_makes_zero_is_kept_as_text(tmp_path, tiny):
    (row,) = read(tmp_path, b'{"q":%s}' % tiny.encode(), PLAIN)

    assert value(row["line"], "$.q") == tiny


def test_a_lone_surrogate_beside_a_long_number_is_one_record(tmp_path):
    body = rb'{"q":12345678901234567890,"s":"\ud800"}' + b"\n" + TWO

    assert len(read(tmp_path, body, PLAIN)) == 2


@pytest.mark.parametrize(
    "line", [ONE + TWO, b"[" + ONE + b"]", b'{"n":1', b"nul", b"NaN", b"{'n':1}"]
)
@pytest.mark.parametrize("long", [b"", b" 12345678901234567890"])
def test_a_line_that_is_no_json_object_passes_as_it_is_for_normalize_to_refuse(
    tmp_path, line, long
):
    (row,) = read(tmp_path, line + long, PLAIN)

    assert (row["reader_reason"], row["raw"]) == (None, line + long)
    assert not (row["line"].startswith("{") and is_json(row["line"]))


@pytest.mark.parametrize("number", [b"1", b"12345678901234567890"])
def test_a_record_that_is_nested_too_deeply_is_refused_and_its_neighbours_stay(tmp_path, number):
    reader = PLAIN.model_copy(update={"max_line_bytes": 1 << 20})
    deep = b'{"a":' * 10_000 + number + b"}" * 10_000

    rows = read(tmp_path, ONE + b"\n" + deep + b"\n" + TWO, reader)

    assert [row["reader_reason"] for row in rows] == [None, "too_deep", None]
    assert [row["raw"] for row in rows] == [ONE, deep, TWO]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_record_with_a_repeated_key_is_refused_and_its_neighbours_stay(tmp_path, end):
    repeated = b'{"n":1,"n":12345678901234567890}'

    rows = read(tmp_path, end.join([ONE, repeated, TWO]), PLAIN)

    assert [(row["line"], row["reader_reason"]) for row in rows] == [
        ('{"n":1}', None),
        (None, "repeated_key"),
        ('{"n":2}', None),
    ]
    assert rows[1]["raw"] == repeated


@pytest.mark.parametrize(
    "body",
    [
        b'{"Records":[{"n":1},{"n":2}]}',
        b'\xef\xbb\xbf \n{ "a" : [{"Records":[9]}] , "Records" : [ {"n":1} ,\r\n {"n":2} ] , "z":1 }\n',
        b'{"z":' + b"[" * 10_000 + b'"]"' + b"]" * 10_000 + b',"Records":[{"n":1},{"n":2}]}',
        b'{"z":' + b"9" * 10_000 + b',"Records":[{"n":1},{"n":2}]}',
    ],
    ids=["bare", "spaced", "deep beside it", "long number beside it"],
)
def test_json_records_gives_each_element_with_its_exact_text(tmp_path, body):
    rows = read(tmp_path, body, ARRAY)

    assert [(row["raw_line"], row["raw"]) for row in rows] == [(1, ONE), (2, TWO)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"records":[]}',
        b'{"Records":{}}',
        b'{"Records":[{"n":1}',
        b'{"Records":[{"n":1}]}{"Records":[]}',
        b'{"Records":["\xff"]}',
        b'{"Records":[{"n":1},]}',
        b'{"Records":[{"n":1} {"n":2}]}',
        b'{"Records":[],}',
        b'{"Records" []}',
        b'{1:0,"Records":[]}',
        b'{"Records":[[' + b"[" * 10_000,
        b'{"Records":[' + b"[" * 10_000 + b'"',
    ],
    ids=range(14),
)
def test_an_object_without_the_array_is_refused_whole(tmp_path, body):
    with pytest.raises(readers.Unreadable, match="object_not_json"):
        read(tmp_path, body, ARRAY)


@pytest.mark.parametrize(
    "body",
    [b'{"Records":[0],"Records":[{"n":1}]}', b'{"a":1,"a":2,"Records":[]}', b'{"\\u0061":1,"a":2}'],
)
def test_an_object_that_names_a_key_twice_is_refused_whole(tmp_path, body):
    with pytest.raises(readers.Unreadable, match="object_repeated_key"):
        read(tmp_path, body, ARRAY)


def test_json_records_refuses_one_element_and_keeps_its_neighbours(tmp_path):
    deep = b"[" * 10_000 + b"{}" + b"]" * 10_000
    body = b'{"Records":[{"n":1},{"m":{"n":1,"n":1}},%s,{"n":2}]}' % deep

    rows = read(tmp_path, body, ARRAY)

    assert [row["reader_reason"] for row in rows] == [None, "repeated_key", "too_deep", None]
    assert [row["raw"] for row in rows[2:]] == [deep, TWO]


def test_json_records_keeps_each_digit_and_element_that_is_no_object(tmp_path):
    rows = read(tmp_path, b'{"Records":[{"q":0.12345678901234567890},null,7,"x"]}', ARRAY)

    assert value(rows[0]["line"], "$.q") == "0.12345678901234567890"
    assert [row["raw"] for row in rows[1:]] == [b"null", b"7", b'"x"']


def read(folder, body: bytes, reader: Reader) -> list[dict]:
    (folder / "object").write_bytes(body)
    path = readers.plain(folder / "object", reader, folder / "plain")
    return [row for table in readers.records(path, reader) for row in table.to_pylist()]


def is_json(line: str) -> bool:
    return duckdb.execute("SELECT json_valid(?)", [line]).fetchone()[0]


def value(line: str, path: str) -> str:
    return duckdb.execute("SELECT json_extract_string(?, ?)", [line, path]).fetchone()[0]


CSV = Reader(format="csv", compression="none", max_line_bytes=60)
HEAD = b'"id",who,"km, driven"\r\n'


def test_rows_of_a_csv_are_named_by_its_header_and_keep_line_and_text(tmp_path):
    body = b"\xef\xbb\xbf" + HEAD + b'1,\xc3\x84nn,2.10\r\n\r\n2,"a ""b""\r\nc",\r\n3,5" pipe,1e2'

    found = read(tmp_path, body, CSV)

    assert [(row["raw_line"], row["record"]) for row in found] == [(2, 1), (4, 2), (6, 3)]
    assert [json.loads(row["line"]) for row in found] == [
        {"id": "1", "who": "Änn", "km, driven": "2.10"},
        {"id": "2", "who": 'a "b"\r\nc'},
        {"id": "3", "who": '5" pipe', "km, driven": "1e2"},
    ]
    assert found[1]["raw"] == b'2,"a ""b""\r\nc",'
    assert value(found[0]["line"], '$."km, driven"') == "2.10"


def test_a_row_that_does_not_fit_its_header_is_refused_alone(tmp_path):
    rows = [b"1,a", b"2,a,b,c", b'3,"a"b,c', b"4,\xff,c", b"5," + b"x" * 60 + b",c", b"6,a,7"]

    found = read(tmp_path, HEAD + b"\n".join(rows) + b"\n", CSV)

    assert [row["reader_reason"] for row in found] == [
        *["not_csv"] * 3,
        "not_utf8",
        "line_too_long",
        None,
    ]
    assert [row["line"] is None for row in found] == [True] * 5 + [False]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (HEAD + b'1,"a,2\n2,b,3\n', "object_not_csv"),
        (HEAD + b'1,"a,2\n' + b"2,b,3\n" * 20 + b'3,"c,4\n', "object_not_csv"),
        (HEAD + b'1,"' + b"a line\n" * 10 + b'",2\n2,b,3\n', "object_not_csv"),
        (b"id;who;km\n1;a;2\n", "object_not_csv"),
        (b"id,\xff\n1,a\n", "object_not_csv"),
        (b"id,who,id\n1,a,2\n", "object_repeated_key"),
    ],
    ids=[
        "open to the end",
        "open over many lines",
        "closed too late",
        "another mark",
        "no text",
        "a name twice",
    ],
)
def test_a_csv_whose_rows_cannot_be_told_apart_is_refused_whole(tmp_path, body, reason):
    with pytest.raises(readers.Unreadable, match=reason):
        read(tmp_path, body, CSV)


def test_a_csv_without_rows_and_one_of_another_mark(tmp_path):
    assert read(tmp_path, b"", CSV) == read(tmp_path, HEAD, CSV) == []
    (row,) = read(tmp_path, b"a;b\n1;2,5", CSV.model_copy(update={"delimiter": ";"}))
    assert json.loads(row["line"]) == {"a": "1", "b": "2,5"}
