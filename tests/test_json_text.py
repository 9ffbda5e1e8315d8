"""Faults of one JSON record, and that the look at a whole column finds exactly those."""

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl import json_shape, json_text, readers

DEEPEST = json_text.MAX_DEPTH


@pytest.mark.parametrize(
    "record",
    [
        '{"a":1,"a":1}',
        '{"a":1, "b":{"a":2} , "a" :3}',
        '{"b":{"a":1,"a":2}}',
        '{"b":[0,[{"a":1,"a":2}]]}',
        '{"b":{"x":{},"a":[],"a":2}}',
        r'{"a":1,"\u0061":2}',
        r'{"a\"":1,"a\"":2}',
        r'{"\\":1,"\\":2}',
        '{"":1,"":2}',
        '{"é":1,"\\u00e9":2}',
        r'{"\ud800":1,"\ud800":2}',
        '{"a":"{","a":"}"}',
        '{"a\n":1,"a\\n":2}',
    ],
)
def test_a_repeated_key_is_seen(record):
    assert json_text.fault(record.encode()) == "repeated_key"


@pytest.mark.parametrize(
    "record",
    [
        '{"a":1,"A":2,"b":{"a":1},"c":[{"a":1},{"a":2}]}',
        '{"a":"\\",\\"a\\":1"}',
        r'{"a\"":1,"a\\":2}',
        '{"a":":a","b":"a","c":["a","a"]}',
        '{"é":1,"e\u0301":2}',
        '{"a":1,"\\u0062":2}',
        '{"a":{"b":1},"b":{"a":1}}',
        '{"a":"{","b":"}"}',
        '{"a":1,"a',  # no JSON: the engine refuses it
        "}{",
        '"a":1,"a":2',
        "",
    ],
)
def test_no_repeated_key_is_made_up(record):
    assert json_text.fault(record.encode()) is None


@pytest.mark.parametrize("mark", ["[]", '{"a":'], ids=["arrays", "objects"])
def test_depth_has_a_limit(mark):
    opening, closing = ("[", "]") if mark == "[]" else (mark, "}")

    def nested(levels: int) -> bytes:
        return f'{{"x":{opening * (levels - 1)}1{closing * (levels - 1)}}}'.encode()

    assert json_text.fault(nested(DEEPEST)) is None
    assert json_text.fault(nested(DEEPEST + 1)) == "too_deep"
    assert json_text.fault(nested(100_000)) == "too_deep"
    assert json_text.fault(b'{"x":"' + b"[{" * DEEPEST + b'"}') is None


@pytest.mark.parametrize(
    ("written", "exact"),
    [
        ('{"q":1234567890123456}', '{"q":"1234567890123456"}'),
        ('{"q":[ -0.12345678901234 ,1]}', '{"q":[ "-0.12345678901234" ,1]}'),
        ('{"q":1e-400,"r":1E-100}', '{"q":"1e-400","r":"1E-100"}'),
        ('{"a":"1,1234567890123456","q":1e-999}', '{"a":"1,1234567890123456","q":"1e-999"}'),
    ],
)
def test_a_number_that_a_double_would_change_becomes_text(written, exact):
    assert json_text.exact(written.encode()) == exact.encode()


@pytest.mark.parametrize(
    "record",
    [
        '{"q":123456789012345,"r":1e-99,"s":1e300,"t":0.5}',
        '{"a":"\\": 1234567890123456789"}',
        "{1234567890123456789:1}",  # as text it would be a key, and the record JSON
        "{1234567890123456789 :1}",
        '{"q":01234567890123456789}',
        '{"q":1234567890123456789.}',
        '{"q":x1234567890123456789}',
        '{"a":1234567890123456789,"b',
    ],
)
def test_other_text_stands_as_it_is(record):
    assert json_text.exact(record.encode()) == record.encode()


keys = st.sampled_from(
    ["a", "b", r"\u0061", "é", "", "a:", r"\"", r"\\", "k" * 9, "k" * 8 + "l", "x{"]
)
texts = st.sampled_from(["", "a", ":", "{", "}]", r"\"", r"\\", '","a":"', "1,1234567890123456789"])
numbers = st.sampled_from(["0", "-1.5", "1234567890123456", "1e-400", "1e5", "123456789.123456"])
spaces = st.sampled_from(["", "", "", " ", "\t \n"])


def spread(items: list[str], space: str, brackets: str) -> str:
    return brackets[0] + space + f"{space},{space}".join(items) + space + brackets[1]


def containers(inner):
    member = st.builds(lambda key, space, one: f'"{key}"{space}:{space}{one}', keys, spaces, inner)
    return st.one_of(
        st.builds(spread, st.lists(member, max_size=4), spaces, st.just("{}")),
        st.builds(spread, st.lists(inner, max_size=3), spaces, st.just("[]")),
    )


values = st.recursive(st.one_of(texts.map(lambda t: f'"{t}"'), numbers), containers, max_leaves=12)
cut = st.builds(lambda text, n: text[: n % (len(text) + 1)], values, st.integers(0, 200))
column = st.lists(st.one_of(values, values, cut, st.none()), max_size=12)


@settings(max_examples=150, deadline=None)
@given(column, st.sampled_from([1, 50, 1 << 18]))
def test_the_look_at_a_column_finds_what_the_look_at_each_record_finds(lines, piece_bytes):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_shape, "PIECE_BYTES", piece_bytes)
        found = json_shape.judged(table(lines)).to_pylist()

    assert [(row["line"], row["reader_reason"]) for row in found] == [one_by_one(n) for n in lines]


def test_records_of_one_shape_with_different_long_keys_are_told_apart():
    long = "k" * 400
    good = f'{{"{long}a":1,"{long}b":2}}'
    bad = f'{{"{long}a":1,"{long}a":2}}'
    many = json.dumps({f"k{n}": n for n in range(json_shape.MAX_KEYS + 2)})

    found = json_shape.judged(table([good, bad, good, many, many[:-1] + ',"k0":1}']))

    assert found["reader_reason"].to_pylist() == [None, "repeated_key", None, None, "repeated_key"]


def one_by_one(line: str | None) -> tuple[str | None, str | None]:
    if line is None:
        return None, None
    reason = json_text.fault(line.encode())
    return (None, reason) if reason else (json_text.exact(line.encode()).decode(), None)


def table(lines: list[str | None]) -> pa.Table:
    rows = [{"line": line, "raw": (line or "").encode()} for line in lines]
    return pa.Table.from_pylist(rows, readers.SCHEMA)
