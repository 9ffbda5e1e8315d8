"""A run of bills with nothing new reads nothing of what landed; whatever was written again is looked at."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from etl.billing import contract as billing_contract
from etl.billing import delivery, settled, stages
from etl.billing.delivery import LOADED, REJECTED, SEEN, SUPERSEDED, Delivery
from etl.settings import ROOT
from tests import fault_proxy
from tests.bills import bill, line
from tests.test_focus_deliveries import land_azure

FIRST, SECOND, THIRD = (datetime(2026, 10, day, 6) for day in (20, 21, 22))
FOLDER = "billing/aws/focus_export/exports/focus"
MANIFEST = "metadata/billing_period=2026-10/focus-Manifest.json"
OCI = "billing/oci/focus/x/2026/10/20/one.csv"
OTHER = "billing/aws/focus/export/billing_period=2026-10/{}.csv"
GCP = "billing/gcp/json/x/export_date=2026-10-20"

pytestmark = pytest.mark.usefixtures("quick_judge")


@pytest.fixture
def landed(lake, object_store, monkeypatch) -> Iterator:
    """Names of the landed objects that a run of a contract read or asked for, in their order."""
    with fault_proxy.running(object_store.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)

        def ingest(stream: str, period: str | None = None) -> list[str]:
            before = len(proxy.asked)
            stages.ingest(stream, f"run-{before}", period)
            found = (
                re.match(r"(?:GET|HEAD) /landing/([^?]+)", one) for one in proxy.asked[before:]
            )
            return [one[1].rpartition("/")[2] for one in found if one]

        yield ingest


def land_month(lake, run: str, cost: str, at: datetime) -> None:
    """A delivery by manifest, over the one before."""
    lake.land(f"{FOLDER}/data/{run}.csv", bill(line(BilledCost=cost)), at)
    files = [f"s3://exports-bucket/exports/focus/data/{run}.csv"]
    body = json.dumps({"executionId": run, "dataFiles": files})
    lake.land(f"{FOLDER}/{MANIFEST}", body.encode(), at)


def billed(lake) -> str:
    return lake.rows("SELECT sum(billed_cost)::DOUBLE::VARCHAR AS cost FROM charge")[0]["cost"]


def test_what_waits_for_somebody_is_read_again_only_where_its_month_is_another(lake, landed):
    # given a month that another contract has loaded
    lake.land(OTHER.format("one"), bill(line()), FIRST)
    landed("aws_focus")
    land_month(lake, "one", "1.5", FIRST)
    assert "one.csv" in landed("aws_focus_export")

    # then it is not read again until that month moves
    again = landed("aws_focus_export")
    assert again.count("one.csv") == 1  # whether it is there, no more
    lake.land(OTHER.format("two"), bill(line(BilledCost="2")), SECOND)
    landed("aws_focus")
    assert landed("aws_focus_export").count("one.csv") == 2
    assert billed(lake) == "2.0"


def test_a_manifest_is_read_again_only_where_it_is_another_or_was_written_again(lake, landed):
    land_month(lake, "one", "1.5", FIRST)
    first = landed("aws_focus_export")
    assert {"focus-Manifest.json", "one.csv"} == set(first)

    # when nothing new came, then nothing that landed is read, and nothing is published
    release = lake.release()
    assert landed("aws_focus_export") == []
    assert lake.release() == release

    # when the provider writes the next delivery over it, then that one is loaded
    land_month(lake, "two", "2.5", SECOND)
    assert {"focus-Manifest.json", "two.csv"} == set(landed("aws_focus_export"))
    assert billed(lake) == "2.5"
    assert landed("aws_focus_export") == []

    # when it goes back to the very bytes of the first, then those count again
    land_month(lake, "one", "1.5", THIRD)
    assert "one.csv" in landed("aws_focus_export")
    assert billed(lake) == "1.5"
    assert landed("aws_focus_export") == []

    # and a month that is asked for again is read again
    assert "one.csv" in landed("aws_focus_export", "2026-10")


def test_a_manifest_that_is_not_settled_is_read_until_it_is(lake, landed):
    land_month(lake, "one", "1.5", FIRST)
    lake.client.delete_object(Bucket="landing", Key=f"{lake.name}/{FOLDER}/data/one.csv")
    landed("aws_focus_export")
    assert "focus-Manifest.json" in landed("aws_focus_export")

    lake.land(f"{FOLDER}/data/one.csv", bill(line()), SECOND)
    landed("aws_focus_export")
    assert landed("aws_focus_export") == []


def test_a_manifest_that_lies_there_twice_is_read_once(lake, landed):
    # given the manifest of a month, and its copy beside it
    land_month(lake, "one", "1.5", FIRST)
    copied = {"Bucket": "landing", "Key": f"{lake.name}/{FOLDER}/{MANIFEST}"}
    copy = f"{lake.name}/{FOLDER}/copy/{MANIFEST}"
    lake.client.copy_object(Bucket="landing", Key=copy, CopySource=copied)
    assert landed("aws_focus_export").count("focus-Manifest.json") > 2
    assert landed("aws_focus_export") == []

    # when the next delivery leaves the copy behind
    land_month(lake, "two", "2.5", SECOND)
    assert "two.csv" in landed("aws_focus_export")

    # then it is no delivery of its own
    assert landed("aws_focus_export") == []
    assert billed(lake) == "2.5"


@pytest.mark.parametrize("years", [-1, 1])
def test_what_counts_again_is_told_by_when_it_was_written_not_by_when_it_says_it_was(
    lake, landed, years
):
    days = [at.replace(year=at.year + years) for at in (FIRST, SECOND, THIRD)]
    for run, cost, at in zip(("one", "two", "one"), ("1.5", "2.5", "1.5"), days, strict=True):
        land_month(lake, run, cost, at)
        landed("aws_focus_export")

    assert billed(lake) == "1.5"


def test_runs_that_pile_up_beside_each_other_are_each_read_once(lake, landed):
    body = bill(line(), line())
    for day in (20, 21, 22):
        land_azure(lake, f"run-{day}", f"2026-10-{day}T05:00:00Z", body, "csv", "FocusCost")
    land_azure(lake, "other", "2026-10-23T05:00:00Z", body, "csv", "ActualCost")
    assert landed("azure_focus").count("manifest.json") > 4

    assert landed("azure_focus") == []


@pytest.mark.parametrize("stream", ["oci_focus", "gcp_billing"])
def test_objects_without_a_manifest_are_told_by_the_listing(lake, landed, stream):
    lake.land(OCI, bill(line()), FIRST)
    lake.land(f"{GCP}/part.json.gz", b"no gzip", FIRST)
    lake.land(f"{GCP}/_SUCCESS.json", b"{}", FIRST)
    assert landed(stream)
    assert landed(stream) == []

    lake.land(OCI, bill(line(BilledCost="3")), SECOND)
    lake.land(f"{GCP}/part.json.gz", b"no gzip either", SECOND)
    assert landed(stream)
    assert landed(stream) == []


def test_a_ledger_from_before_manifests_were_told_apart_learns_with_the_next_delivery(
    lake, landed, monkeypatch
):
    # given a month that was loaded before the ledger kept the manifest's ETag
    land_month(lake, "one", "1.5", FIRST)
    with monkeypatch.context() as older:
        table = delivery.table
        older.setattr(
            delivery, "table", lambda rows: table(replace(one, manifest_etag=None) for one in rows)
        )
        landed("aws_focus_export")
    release = lake.release()
    assert set(landed("aws_focus_export")) == {"focus-Manifest.json", "one.csv"}
    assert lake.release() == release

    # when a delivery of another month comes
    lake.land(f"{FOLDER}/{MANIFEST.replace('10', '11')}", b"no JSON", SECOND)
    landed("aws_focus_export")

    # then both are told by the listing
    assert landed("aws_focus_export") == []


ONE = Delivery("s", "a", "2026-10", "id", LOADED, FIRST, "1.0.0", None, None, "key", "etag", FIRST)
LATER = FIRST + timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("stream", "known", "at", "is_settled"),
    [
        ("aws_focus_export", ONE, THIRD, True),
        ("aws_focus_export", replace(ONE, manifest_etag="other"), THIRD, False),
        ("aws_focus_export", replace(ONE, manifest_key="other"), THIRD, True),
        ("aws_focus_export", replace(ONE, manifest_key="o", delivery_id="o@etag"), THIRD, False),
        ("aws_focus_export", ONE.at(REJECTED), THIRD, True),
        ("aws_focus_export", replace(ONE.at(REJECTED), schema_version="0.9.0"), THIRD, False),
        ("aws_focus_export", ONE.at(SEEN), FIRST, False),
        ("aws_focus_export", ONE.at(SUPERSEDED), FIRST, True),
        ("aws_focus_export", ONE.at(SUPERSEDED), LATER, False),
        ("azure_focus", ONE.at(SUPERSEDED), LATER, False),
        ("azure_focus", replace(ONE.at(SUPERSEDED), landed_at=None), FIRST, False),
    ],
)
def test_what_the_ledger_says_of_a_manifest_that_lies_there(stream, known, at, is_settled):
    contract = billing_contract.load(ROOT / "contracts", stream)

    found = settled.settled(contract, [known]).by_manifest("key", "etag", at)

    assert (found is not None) == is_settled
