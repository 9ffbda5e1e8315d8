"""Rows of a bill's CSV: the contract's bound on a row is the true one, wherever in the object the row lies."""

import re

import pytest

from etl.billing import text_rows
from etl.billing.contract import BillingReader
from etl.billing.delivery import Refused

KIB = 1 << 10
READER = BillingReader(format="csv", max_line_bytes=64 * KIB)
SHORT = b"a,b\n"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """The same as with the bounds of the contracts, in less time."""
    monkeypatch.setattr(text_rows, "BLOCK_BYTES", 32 * KIB)


def lengths(tmp_path, body: bytes, reader: BillingReader = READER) -> list[int]:
    """Bytes of the first value of each row."""
    (tmp_path / "bill.csv").write_bytes(b"one,two\n" + body)
    tables = text_rows.rows(tmp_path / "bill.csv", reader, ["one", "two"])
    return [len(value) for table in tables for value in table["one"].to_pylist()]


@pytest.mark.parametrize("before", [0, 1, 8_000, 20_000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_a_row_of_the_largest_size_is_read_wherever_it_lies(tmp_path, before, end):
    size = READER.max_line_bytes - len(b",b")
    body = SHORT * before + b"x" * size + b",b" + end + (SHORT if end else b"")

    found = lengths(tmp_path, body)

    assert (len(found), max(found)) == (before + 1 + bool(end), size)


def test_a_row_of_the_largest_size_may_hold_line_ends_in_quotes(tmp_path):
    size = READER.max_line_bytes - len(b'"",b')
    lines = (b"x" * 999 + b"\n") * (size // 1000)

    assert lengths(tmp_path, SHORT + b'"' + lines + b'",b\n') == [1, len(lines)]


@pytest.mark.parametrize(
    "more", [1, 8 * KIB, 80 * KIB], ids=["a byte", "less than a block", "more than a block"]
)
@pytest.mark.parametrize("before", [0, 8_000])
def test_a_row_beyond_it_refuses_the_object(tmp_path, before, more):
    long = b"x" * (READER.max_line_bytes - len(b",b") + more) + b",b\n"

    with pytest.raises(Refused) as refused:
        lengths(tmp_path, SHORT * before + long + SHORT)
    assert refused.value.reason == "line_too_long"
    told = re.fullmatch(r"(row|beyond row) (\d+), .*", refused.value.detail)
    assert int(told[2]) == before + 1 if told[1] == "row" else int(told[2]) <= before


def test_a_bound_below_a_block_holds_too(tmp_path):
    reader = BillingReader(format="csv", max_line_bytes=100)
    assert lengths(tmp_path, SHORT * 100 + b"x" * 98 + b",b\n", reader)[-1] == 98

    with pytest.raises(Refused) as refused:
        lengths(tmp_path, SHORT * 100 + b"x" * 99 + b",b\n", reader)
    assert refused.value.detail == "row 101, max_line_bytes of the contract is 100"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"a,b,c\n", "object_not_csv"),
        (b"a\n", "object_not_csv"),
        (b"a,\xff\n", "object_not_utf8"),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 20_000])
def test_a_row_that_cannot_be_read_is_told_by_the_number_that_it_would_have(
    tmp_path, broken, reason, before
):
    body = SHORT * before + b"\n" + b'"a\n",b\n' + broken + SHORT

    with pytest.raises(Refused) as refused:
        lengths(tmp_path, body)

    assert (refused.value.reason, refused.value.detail) == (reason, f"row {before + 2}")


def test_the_bound_that_contracts_have_by_default_is_the_true_one(tmp_path, monkeypatch):
    monkeypatch.undo()
    size = BillingReader(format="csv").max_line_bytes - len(b",b")
    row = SHORT * 800_000 + b"x" * size + b",b\n"

    assert max(lengths(tmp_path, row, BillingReader(format="csv"))) == size


@pytest.mark.parametrize(
    ("head", "reason", "told"),
    [
        (b"a,b,c,d\n", "too_many_columns", "4, max_columns of the contract is 3"),
        (b"a,b,b\n", "repeated_column", "b"),
        (b"a,b\n" + SHORT * 4, "object_too_large", "max_object_bytes of the contract is 16"),
    ],
)
def test_a_bound_that_an_object_breaks_is_told_by_its_name(tmp_path, head, reason, told):
    reader = BillingReader(format="csv", max_columns=3, max_object_bytes=16)
    (tmp_path / "bill.csv").write_bytes(head)

    with pytest.raises(Refused) as refused:
        text_rows.header(text_rows.plain(tmp_path / "bill.csv", reader, tmp_path / "plain"), reader)

    assert (refused.value.reason, refused.value.detail) == (reason, told)
