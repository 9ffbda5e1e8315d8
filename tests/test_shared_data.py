"""Real and truth-carrying data beside this checkout: every total of its truth files, exactly."""

import json
import os
import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.conftest import Lake, decide

pytestmark = [pytest.mark.shared_data, pytest.mark.usefixtures("quick_judge")]
STREAM = {"cloudevents": "app_usage", "s3_access": "s3_access"}


@pytest.fixture(scope="module")
def synthetic(object_store, shared_data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etl.judge.judge", decide)
        lake = Lake(object_store, f"synthetic-{os.getpid()}", patch)
        for part in ("topics", "s3logs"):
            land(lake, shared_data / "synthetic" / "bucket", part)
        for stream in STREAM.values():
            lake.run(stream, *(date(2026, 11, day) for day in range(17, 22)))
        yield lake


def test_every_total_of_cloudevents_and_s3_comes_out_exactly(synthetic, shared_data):
    truth = json.loads((shared_data / "synthetic" / "truth" / "daily_totals.json").read_text())
    expected = {
        (
            one["usage_date"],
            STREAM[one["source"]],
            one["tenant_id"],
            one["meter"],
            one["unit"],
        ): Decimal(one["quantity"])
        for one in truth
        if one["source"] in STREAM
    }
    found = {
        (row["day"], row["stream"], row["tenant_id"], row["meter"], row["unit"]): row["quantity"]
        for row in synthetic.rows("""
            SELECT usage_date::VARCHAR AS day, stream, tenant_id, meter, unit,
                sum(weighted_quantity)::DECIMAL(38,9) AS quantity
            FROM usage_daily GROUP BY ALL""")
    }
    assert len(expected) == 113
    assert found == expected


def test_the_faults_put_into_the_synthetic_data_are_counted(synthetic, shared_data):
    faults = json.loads((shared_data / "synthetic" / "truth" / "control.json").read_text())

    (refused,) = synthetic.rows("SELECT count(*) AS n FROM quarantine")
    (voided,) = synthetic.rows("SELECT count(*) AS n FROM correction WHERE role = 'voided'")
    repeats = {
        row["stream"]: row["n"]
        for row in synthetic.rows(
            "SELECT stream, count(DISTINCT (raw_object_key, raw_line)) AS n FROM duplicate GROUP BY ALL"
        )
    }
    offsets = synthetic.rows("""
        SELECT sequence_scope::INTEGER AS partition, min(first_sequence) AS first_offset,
            max(first_sequence + records) AS next_offset, sum(records)::BIGINT AS records
        FROM manifest WHERE stream = 'app_usage' GROUP BY ALL ORDER BY ALL""")

    assert refused["n"] == faults["faults"]["cloudevents_bad_row"]
    assert voided["n"] == faults["faults"]["cloudevents_void"]
    assert repeats == {
        "app_usage": faults["faults"]["cloudevents_duplicate"],
        "s3_access": faults["faults"]["s3_object_redelivered_rows"],
    }
    assert [{"source": "cloudevents"} | one for one in offsets] == faults["control"]


def test_real_cloudtrail_records_come_out_exactly(lake, shared_data):
    land(lake, shared_data / "L9-security" / "cloudtrail", "AWSLogs")

    lake.run("cloudtrail", date(2023, 7, 10))

    truth = json.loads((shared_data / "L9-security" / "cloudtrail" / "totals.json").read_text())
    (files,) = lake.rows("SELECT count(*) AS n, sum(records)::BIGINT AS records FROM manifest")
    totals = {
        row["meter"]: row["quantity"]
        for row in lake.rows(
            "SELECT meter, sum(quantity)::DECIMAL(38,9) AS quantity FROM usage_daily GROUP BY ALL"
        )
    }
    assert (files["n"], files["records"]) == (truth["files"], truth["records"])
    assert totals == {"api_calls": truth["records"], "egress_bytes": truth["bytesTransferredOut"]}


def land(lake, root: Path, part: str) -> None:
    for path in sorted((root / part).rglob("*")):
        if path.is_file():
            key = path.relative_to(root).as_posix()
            lake.land(key, path.read_bytes(), delivered(key))


def delivered(key: str):
    """The delivery that the key states: to the minute for CloudTrail, else the end of its day."""
    from datetime import datetime

    if exact := re.search(r"_(\d{8}T\d{4})Z_", key):
        return datetime.strptime(exact[1], "%Y%m%dT%H%M")
    found = re.search(r"(\d{4})/(?:month=)?(\d{2})/(?:day=)?(\d{2})/", key)
    assert found, key
    year, month, day = map(int, found.groups())
    return datetime(year, month, day, 23, 59)
