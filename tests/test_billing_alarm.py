"""Whom the absence of deliveries wakes: contracts in use, and never one that is merely shipped."""

from datetime import UTC, datetime, timedelta

import pytest

from etl import billing
from etl.errors import SourceError
from tests.bills import bill, land, line

pytestmark = pytest.mark.usefixtures("quick_judge")

NOW = datetime.now(UTC).replace(tzinfo=None)
LONG_AGO = NOW - timedelta(days=40)


def test_a_contract_that_was_never_used_is_silent_and_one_whose_deliveries_stay_away_is_not(lake):
    billing.alarm()

    # given a delivery of long ago, and one of today
    lake.land("billing/gcp/focus/x/billing_period=2026-10/one.csv", bill(line()), LONG_AGO)
    billing.ingest("gcp_focus", "first")
    land(lake, "one.csv", bill(line()), NOW)
    billing.ingest("aws_focus", "second")

    # then only the first is named, with when it was last heard of and what to do
    with pytest.raises(SourceError) as raised:
        billing.alarm()
    (message,) = str(raised.value).splitlines()
    assert message.startswith("gcp_focus: no complete delivery for")
    assert f"the last one is of {LONG_AGO:%Y-%m-%d %H:%M}" in message
    assert "look at the provider's export" in message


def test_deliveries_that_are_never_complete_are_missed_too(lake, monkeypatch):
    # given a bill that was refused, a manifest whose file never came, and data without any manifest
    land(lake, "one.csv", bill(line(BilledCost="much")), LONG_AGO)
    folder = "billing/aws/cur2/export/metadata/BILLING_PERIOD=2026-10"
    manifest = b'{"executionId": "e", "dataFiles": ["s3://b/gone.csv.gz"]}'
    lake.land(f"{folder}/x-Manifest.json", manifest, LONG_AGO)
    lake.land("billing/aws/cur/export/20261001-20261101/id/x-1.csv.gz", b"", LONG_AGO)
    lake.land("billing/oci/focus/notes.txt", b"", LONG_AGO)
    for stream in ("aws_focus", "aws_cur2", "aws_cur", "oci_focus", "oci_cost"):
        billing.ingest(stream, "first")

    # then they are named; what landed just now has time, and a folder inside a folder counts for its own contract
    assert named() == {"aws_focus", "aws_cur2"}
    monkeypatch.setattr(billing, "_now", lambda: NOW + timedelta(days=40))
    assert named() == {"aws_focus", "aws_cur2", "aws_cur", "oci_focus"}


def named() -> set[str]:
    return {stream for stream in billing.streams() if billing.overdue(stream)}
