"""Every source's sample: what lies in tests/samples/<stream>/landing comes out as expected.json says.

A file's path below landing/ is its object key; where the contract says gzip, the text is packed on the way.
"""

import gzip
import json
from datetime import date, datetime, time
from pathlib import Path

import pytest

from etl import contract, discovery
from etl.layout import stream_names
from etl.settings import ROOT

pytestmark = pytest.mark.usefixtures("quick_judge")

SAMPLES = Path(__file__).parent / "samples"


@pytest.mark.parametrize("stream", stream_names())
def test_the_sample_of_a_source_comes_out_as_expected(lake, stream):
    dates = land(lake, stream)

    lake.run(stream, *dates)

    expected = json.loads((SAMPLES / stream / "expected.json").read_text())
    assert daily(lake) == expected["usage_daily"]
    assert counted(lake, "reason", "quarantine") == expected["quarantine"]
    assert counted(lake, "class", "duplicate") == expected["duplicate"]


def land(lake, stream: str) -> list[date]:
    """Deliver each file at the end of the day in its key."""
    found, landing = contract.load(ROOT / "contracts", stream), SAMPLES / stream / "landing"
    days = set()
    for path in sorted(path for path in landing.rglob("*") if path.is_file()):
        key, body = path.relative_to(landing).as_posix(), path.read_bytes()
        day = discovery.key_date(found, key)
        assert day, f"{key} is not a key that the contract finds"
        packed = gzip.compress(body, mtime=0) if found.reader.compression == "gzip" else body
        lake.land(key, packed, datetime.combine(day, time(23, 59)))
        days.add(day)
    return sorted(days)


def daily(lake) -> list[list[str]]:
    rows = lake.rows("""
        SELECT usage_date, tenant_id, meter, labels::VARCHAR AS labels, quantity, unit
        FROM usage_daily ORDER BY ALL""")
    return [[str(value) for value in row.values()] for row in rows]


def counted(lake, column: str, table: str) -> dict[str, int]:
    rows = lake.rows(
        f"SELECT {column} AS what, count(*) AS n FROM {table} GROUP BY ALL ORDER BY ALL"
    )
    return {row["what"]: row["n"] for row in rows}
