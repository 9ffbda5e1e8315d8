"""Whom the absence of deliveries wakes: contracts in use, and never one that is merely shipped."""

import gzip
from datetime import UTC, datetime, timedelta

import pytest

from etl.billing import stages
from etl.errors import SourceError
from tests.bills import bill, land, line
from tests.test_overlap import land_export

pytestmark = pytest.mark.usefixtures("quick_judge")

NOW = datetime.now(UTC).replace(tzinfo=None)
SETTLED = NOW - timedelta(hours=2)  # nobody writes at it any more
LONG_AGO = NOW - timedelta(days=40)
MONTH = f"{NOW:%Y-%m}"
NEXT = f"{NOW.replace(day=1) + timedelta(days=32):%Y-%m}"


def test_a_contract_that_was_never_used_is_silent_and_one_whose_deliveries_stay_away_is_not(
    lake, monkeypatch
):
    stages.alarm()

    # given a delivery of yesterday, and one of now
    yesterday = NOW - timedelta(hours=30)
    ingest(lake, "gcp", yesterday)
    ingest(lake, "aws", SETTLED)
    stages.alarm()

    # when hours pass
    monkeypatch.setattr(stages, "_now", lambda: NOW + timedelta(hours=10))

    # then only the first is named, with when it was last heard of and what to do
    with pytest.raises(SourceError) as raised:
        stages.alarm()
    (message,) = str(raised.value).splitlines()
    assert message.startswith("gcp_focus: no complete delivery for")
    assert f"the last one is of {yesterday:%Y-%m-%d %H:%M}" in message
    assert "look at the provider's export" in message


@pytest.mark.parametrize(("month", "at"), [(MONTH, LONG_AGO), ("2026-01", SETTLED)])
def test_history_that_is_brought_in_wakes_nobody_and_an_export_that_runs_does(
    lake, monkeypatch, month, at
):
    # given what was written long before it came, or is of a month that was closed by then
    ingest(lake, "gcp", at, month)
    assert not stages.overdue("gcp_focus")
    monkeypatch.setattr(stages, "_now", lambda: NOW + timedelta(days=40))
    assert not stages.overdue("gcp_focus")

    # when the export delivers the open month, then it has its hours, and is missed after them
    monkeypatch.setattr(stages, "_now", lambda: NOW)
    ingest(lake, "gcp", SETTLED, cost="much")
    (rejected,) = stages.overdue("gcp_focus")
    assert "was rejected (amount_not_a_number: " in rejected
    monkeypatch.setattr(stages, "_now", lambda: NOW + timedelta(hours=36))
    missed, again = stages.overdue("gcp_focus")
    assert "no complete delivery for 36 hours" in missed and again == rejected


def test_deliveries_that_are_never_complete_are_missed_too(lake, monkeypatch):
    # given a bill that was refused, one of no month, a manifest whose file never came, and data without any manifest
    land(lake, "one.csv", bill(line(BilledCost="much")), LONG_AGO)
    lake.land("billing/gcp/focus/x/billing_period=2026-13/one.csv", bill(line()), SETTLED)
    folder = "billing/aws/cur2/export/metadata/BILLING_PERIOD=2026-10"
    manifest = b'{"executionId": "e", "dataFiles": ["s3://b/gone.csv.gz"]}'
    lake.land(f"{folder}/x-Manifest.json", manifest, LONG_AGO)
    lake.land("billing/aws/cur/export/20261001-20261101/id/x-1.csv.gz", b"", LONG_AGO)
    lake.land("billing/oci/focus/notes.txt", b"", LONG_AGO)
    for stream in ("aws_focus", "gcp_focus", "aws_cur2", "aws_cur", "oci_focus", "oci_cost"):
        stages.ingest(stream, "first")

    # then they are named; what landed just now has time, and a folder inside a folder counts for its own contract
    assert named() == {"aws_focus", "gcp_focus", "aws_cur2"}
    monkeypatch.setattr(stages, "_now", lambda: NOW + timedelta(days=40))
    assert named() == {"aws_focus", "gcp_focus", "aws_cur2", "aws_cur", "oci_focus"}


EXPORT = "billing/aws/focus_export/exports/focus/metadata/billing_period="
GONE = b'{"executionId": "last", "dataFiles": ["s3://exports-bucket/exports/focus/data/gone.csv"]}'


def test_what_stays_incomplete_is_missed_though_later_deliveries_come(lake, monkeypatch):
    """A day of Google's table, or the last delivery of a month, would be missing in the bill and nobody told."""
    days = [f"billing/gcp/json/t/export_date={MONTH}-0{day}" for day in (5, 6, 7)]
    for folder in days:
        lake.land(f"{folder}/part.json.gz", gzip.compress(b""), SETTLED)
        if folder != days[1]:
            lake.land(f"{folder}/_SUCCESS.json", b"{}", SETTLED)
    land_export(lake, MONTH, bill(line() | of(MONTH)), SETTLED, "one")
    lake.land(f"{EXPORT}{MONTH}/focus-Manifest.json", GONE, NOW - timedelta(hours=1))
    for stream in ("gcp_billing", "aws_focus_export"):
        stages.ingest(stream, "first")
    assert named() == set()

    # when later ones come, and it is still incomplete after the hours that the contract bears
    land_export(lake, NEXT, bill(line() | of(NEXT)), NOW + timedelta(hours=35))
    monkeypatch.setattr(stages, "_now", lambda: NOW + timedelta(hours=38))
    stages.ingest("aws_focus_export", "second")
    (day,) = [one for one in stages.overdue("gcp_billing") if "no complete delivery" not in one]
    assert f"{days[1]}@" in day and f"(no_marker: {days[1]}/_SUCCESS.json)" in day
    (last,) = stages.overdue("aws_focus_export")
    assert f"aws_focus_export {MONTH}: last " in last and "data/gone.csv" in last

    # then it is named until something newer comes
    land_export(lake, MONTH, bill(line() | of(MONTH)), NOW + timedelta(hours=36), "newer")
    stages.ingest("aws_focus_export", "third")
    assert stages.overdue("aws_focus_export") == []
    lake.land(f"{days[1]}/_SUCCESS.json", b"{}", NOW + timedelta(hours=36))
    stages.ingest("gcp_billing", "fourth")
    assert stages.overdue("gcp_billing") == []


def test_what_is_incomplete_and_waits_for_nobody_wakes_nobody(lake, monkeypatch):
    # given a month of history without its objects, and one whose objects are being overwritten
    lake.land(f"{EXPORT}2025-10/focus-Manifest.json", GONE, LONG_AGO)
    land_export(lake, MONTH, bill(line() | of(MONTH)), SETTLED, "being-overwritten")
    later = NOW + timedelta(hours=38)
    folder = "billing/aws/focus_export/exports/focus/data"
    lake.land(f"{folder}/{MONTH}.csv", bill(line() | of(MONTH)), later)
    land_export(lake, NEXT, bill(line() | of(NEXT)), later)
    monkeypatch.setattr(stages, "_now", lambda: later + timedelta(minutes=1))
    done = stages.ingest("aws_focus_export", "first")
    assert {"last": "seen object_missing", "being-overwritten": "seen objects_newer"}.items() <= (
        done["deliveries"].items()
    )
    assert stages.overdue("aws_focus_export") == []


def of(month: str) -> dict[str, str]:
    first = datetime.strptime(month, "%Y-%m")
    following = (first + timedelta(days=32)).replace(day=1)
    return {"BillingPeriodStart": f"{first:%F}", "BillingPeriodEnd": f"{following:%F}"}


def ingest(lake, cloud: str, at: datetime, month: str = MONTH, cost: str = "1") -> None:
    key = f"billing/{cloud}/focus/x/billing_period={month}/{at:%d%H}-{cost}.csv"
    lake.land(key, bill(line(BilledCost=cost) | of(month)), at)
    stages.ingest(f"{cloud}_focus", f"{at} {cost}".replace(" ", "-"))


def named() -> set[str]:
    return {stream for stream in stages.streams() if stages.overdue(stream)}
