"""A folder of objects and the marker that is written last: what it states of their rows is held against them."""

import gzip
import io
import json
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl.billing import stages, stated
from tests.test_overlap import ROW

FOLDER = "billing/gcp/json/table/export_date=2026-10-20"
AT = datetime(2026, 10, 21, 6)

pytestmark = pytest.mark.usefixtures("quick_judge")


def land(lake, name: str, *costs: int) -> None:
    rows = "".join(json.dumps(ROW | {"cost": cost}) + "\n" for cost in costs)
    lake.land(f"{FOLDER}/{name}.json.gz", gzip.compress(rows.encode(), mtime=0), AT)


def mark(lake, stated: object) -> None:
    lake.land(f"{FOLDER}/_SUCCESS.json", json.dumps(stated).encode(), AT)


def ingested(run: str) -> list[str]:
    """What waits after a run."""
    return stages.ingest("gcp_billing", run)["refused"]


def billed(lake) -> Decimal:
    return lake.rows("SELECT sum(billed_cost)::DECIMAL(38,2) AS cost FROM charge")[0]["cost"]


@pytest.mark.parametrize(
    ("marker", "rows"),
    [
        (b'{"run_id": "one", "rows": 1560}', 1560),
        (b'{"rows": "1560"}', 1560),
        (b'{"rows": %d}' % 10**30, 2**63 - 1),
        (b'{"rows": "%d"}' % 10**30, 2**63 - 1),
        (b'{"rows": "%s"}' % (b"9" * 5000), None),
        *(
            (one, None)
            for one in (b"", b"{}", b"[3]", b'{"rows": null}', b'{"rows": true}', b"\xff")
        ),
    ],
)
def test_a_marker_may_state_rows(marker, rows):
    assert stated.rows(marker) == rows


def test_a_folder_that_is_written_again_under_its_old_marker_waits_and_leaves_what_was_loaded(lake):
    # given a folder that is loaded, and written again by half
    land(lake, "part-0", 1, 2)
    land(lake, "part-1", 4)
    mark(lake, {"rows": 3})
    assert ingested("first") == []
    land(lake, "part-0", 10, 20, 30)

    # then what was loaded stays, and somebody is told each time
    for run in ("second", "third"):
        (why,) = ingested(run)
        assert "table/export_date=2026-10-20/ has 4 rows, its marker states 3" in why
        assert stages.overdue("gcp_billing")[-1] == why
        assert billed(lake) == 7

    # and where the marker states more than anybody can count
    mark(lake, {"rows": 10**30})
    assert ingested("absurd") and billed(lake) == 7
    mark(lake, {"rows": 3})

    # when all of it is there, the marker last, then it counts
    land(lake, "part-1", 40)
    assert ingested("fourth") and billed(lake) == 7
    mark(lake, {"rows": 4})
    assert ingested("fifth") == [] and billed(lake) == 100
    assert not [one for one in stages.overdue("gcp_billing") if "marker" in one]


def test_a_folder_that_an_object_leaves_again_is_what_it_was(lake):
    for day, parts in ((20, [1]), (21, [1, 2]), (22, [1])):
        at = datetime(2026, 10, day)
        if day == 20:
            land(lake, "part-0", 1)
        elif day == 21:
            land(lake, "part-1", 2)
        else:
            key = f"{lake.name}/{FOLDER}/part-1.json.gz"
            lake.client.delete_object(Bucket="landing", Key=key)
        lake.land(f"{FOLDER}/_SUCCESS.json", json.dumps({"rows": len(parts)}).encode(), at)

        assert ingested(f"day {day}") == []
        assert billed(lake) == sum(parts)
        release = lake.release()
        assert ingested("idle") == [] and lake.release() == release


def test_the_placeholder_that_a_console_writes_for_a_folder_is_no_object_of_it(lake):
    folder = FOLDER.replace("/json/", "/parquet/")
    target = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([ROW]), target)
    for name, body in (("", b""), ("one.parquet", target.getvalue()), ("_SUCCESS.json", b"{}")):
        lake.land(f"{folder}/{name}", body, AT)

    assert stages.ingest("gcp_billing_parquet", "first")["refused"] == []
    assert lake.rows("SELECT state, objects FROM delivery") == [{"state": "loaded", "objects": 1}]
