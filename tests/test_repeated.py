"""What is read once a different text is what is read row by row."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from etl.billing import repeated
from tests.models import plain_engine

TEXTS = ["b", None, "", "a", "b", None, "a", "c"]
OTHER = [None, None, "1", "1", None, None, "2", "é"]
JOINED = "coalesce(one, '-') || coalesce(other, '-')"


@pytest.mark.parametrize("rows", [0, 1, len(TEXTS)])
def test_each_row_has_the_value_of_its_own_text(rows):
    column = pa.chunked_array([TEXTS[:1], TEXTS[1:]], pa.string()).slice(0, rows)

    upper = repeated.planned(plain_engine(), "upper(text)", 1)
    first, second = repeated.read(upper, [column, column.slice(0, 1)])

    assert first == pc.utf8_upper(column).combine_chunks()
    assert second.to_pylist() == ["B"][:rows]


@pytest.mark.parametrize("codes", [repeated.CODES, 4], ids=["told apart", "too many"])
@pytest.mark.parametrize("rows", [0, len(TEXTS)])
def test_each_row_has_the_value_of_its_own_texts(monkeypatch, codes, rows):
    monkeypatch.setattr(repeated, "CODES", codes)
    table = pa.table(
        {"other": OTHER[:rows], "one": TEXTS[:rows]},
        pa.schema([("other", pa.string()), ("one", pa.string())]),
    )

    joined = repeated.planned(plain_engine(), JOINED, 1)
    found = repeated.read_rows(joined, ["one", "other"], table)

    pairs = zip(TEXTS[:rows], OTHER[:rows], strict=True)
    assert found.to_pylist() == [
        f"{'-' if a is None else a}{'-' if b is None else b}" for a, b in pairs
    ]
