"""billing_ingest by the real task runner: deliveries, nothing new, a month again by the form, and the alarm."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from deploy.embedded.environment import ROOT
from tests.bills import bill, land, line
from tests.dag_runs import Runs, states

pytestmark = pytest.mark.airflow

NOW = datetime.now(UTC).replace(tzinfo=None)
XCOM_BYTES = 2048
GCP = "billing/gcp/focus/export/billing_period=2026-10/one.csv"
SEPTEMBER = "billing/aws/focus/export/billing_period=2026-09/one.csv"
OF_SEPTEMBER = {"BillingPeriodStart": "2026-09-01", "BillingPeriodEnd": "2026-10-01"}
AUGUST = "billing/aws/focus/export/billing_period=2026-08/one.csv"
REVERSED = {
    **{"BillingPeriodStart": "2026-08-01", "BillingPeriodEnd": "2026-09-01"},
    **{"ChargePeriodStart": "2026-08-02", "ChargePeriodEnd": "2026-08-01"},
}
TOTALS = (
    "SELECT provider, sum(billed_cost)::VARCHAR AS cost FROM charge_daily GROUP BY 1 ORDER BY 1"
)


@pytest.fixture
def runs(lake, object_store, tmp_path):
    settings = contracts(tmp_path, "aws_focus", "gcp_focus")
    with Runs("billing_ingest", lake, object_store, tmp_path, **settings) as made:
        yield made


def contracts(folder, *streams: str) -> dict[str, str]:
    """The setting of a few contracts of bills; a full set would only be slower."""
    target = folder / "contracts"
    for stream in ("app_usage", *(f"billing/{one}" for one in streams)):
        shutil.copytree(ROOT / "contracts" / stream, target / stream)
    shutil.copy(ROOT / "contracts" / "billing" / "service_category.csv", target / "billing")
    return {"USAGE_EXPORT_CONTRACTS": str(target)}


def test_bills_are_loaded_announced_and_missed(runs, lake, tmp_path):
    # given a delivery of one contract; the other is shipped and was never used
    land(lake, "one.csv", bill(line()), NOW - timedelta(hours=2))
    first = runs.run()

    # then its month is there and announced, and nobody is alarmed
    assert (first["state"], states(first)) == ("success", {"success": 8, "skipped": 5}), first
    assert first["tasks"]["announce"]["returned"] == [["aws/2026-10"]]
    assert costs(lake) == {"aws": "1.25"}

    # when nothing new came, then nothing changes
    before = lake.release()
    again = runs.run()
    assert (again["state"], states(again)) == ("success", {"success": 2, "skipped": 11}), again
    assert lake.release() == before

    # when a newer delivery lands beside one of another month and one that breaks an expectation, and of another
    # provider only what is no bill
    land(lake, "two.csv", bill(line(BilledCost="3")), NOW - timedelta(hours=1))
    lake.land(SEPTEMBER, bill(line(BilledCost="5") | OF_SEPTEMBER), NOW - timedelta(hours=1))
    lake.land(AUGUST, bill(line() | REVERSED), NOW - timedelta(hours=1))
    lake.land(GCP, bill(line(BilledCost="much")), NOW - timedelta(days=40))
    both = runs.run()

    # then both good months are published and announced, and the alarm names the refused one, and the contract that is
    # overdue, and fails the run
    assert both["tasks"]["announce"]["returned"] == [["aws/2026-09", "aws/2026-10"]]
    assert costs(lake) == {"aws": "8"}
    assert (both["state"], both["tasks"]["alarm"]["states"]) == ("failed", ["failed"])
    assert refused(both, lake) == [("2026-08", "not_valid")]
    assert "gcp_focus: no complete delivery for" in both["said"]
    assert "aws_focus: no complete delivery" not in both["said"]

    expect_month_again_of_one_contract(runs, lake)
    expect_month_again_beside_a_broken_lane(runs, lake, tmp_path)
    told = runs.asked("SELECT partition_key, count(*) FROM asset_event GROUP BY 1 ORDER BY 1")
    assert told == [("aws/2026-09", 1), ("aws/2026-10", 4)]
    for run in (first, again, both):
        for task in run["tasks"].values():
            assert max(len(json.dumps(one)) for one in task["returned"]) < XCOM_BYTES


def test_the_sample_is_loaded_as_it_is_delivered_and_nobody_is_alarmed_though_its_days_are_long_gone(
    lake, object_store, tmp_path
):
    order = {"landed": [], "bills": "2026-10-05", "prefix": f"{lake.name}/"}
    settings = contracts(tmp_path, "aws_focus", "gcp_billing")
    with Runs(None, lake, object_store, tmp_path, **settings) as runs:
        done = runs.run(**order)

    assert done["code"] == 0, done["said"]
    assert "billing_ingest delivered on 2026-10-06" in done["said"]
    found = lake.rows("SELECT stream, state FROM delivery ORDER BY stream, submitted_at")
    assert [(one["stream"], one["state"]) for one in found] == [
        ("aws_focus", "superseded"),
        ("aws_focus", "loaded"),
        ("gcp_billing", "loaded"),
        ("gcp_billing", "loaded"),
    ]


def expect_month_again_of_one_contract(runs, lake) -> None:
    before = lake.release()

    month = runs.run(billing_period="2026-10", stream="aws_focus")

    tasks = month["tasks"]
    assert tasks["aws_focus.publish"]["returned"] == [["aws/2026-10"]]
    assert tasks["gcp_focus.deliver"]["states"] == ["skipped"]
    assert lake.release() == before


def expect_month_again_beside_a_broken_lane(runs, lake, tmp_path) -> None:
    """The sound lane reads its month again to the same release, and announces it; the run fails."""
    break_contract(tmp_path, "gcp_focus")
    before = lake.release()

    month = runs.run(billing_period="2026-10", stream=None)

    tasks = month["tasks"]
    assert tasks["aws_focus.publish"]["returned"] == [["aws/2026-10"]]
    assert tasks["gcp_focus.deliver"]["states"] == ["failed"] and "papyrus" in month["said"]
    assert tasks["announce"]["returned"] == [["aws/2026-10"]]
    assert tasks["every_lane_published"]["states"] == ["upstream_failed"]
    assert lake.release() == before


def refused(run: dict, lake) -> list[tuple]:
    """Months that wait, each named at the end of the run with what is to be done."""
    found = lake.rows(
        "SELECT billing_period, reason, detail FROM delivery WHERE state = 'complete'"
    )
    assert all(row["detail"].splitlines()[-1] in run["said"] for row in found)
    return [(row["billing_period"], row["reason"]) for row in found]


def costs(lake) -> dict[str, str]:
    return {row["provider"]: row["cost"].rstrip("0").rstrip(".") for row in lake.rows(TOTALS)}


def break_contract(folder, stream: str) -> None:
    (file,) = (folder / "contracts" / "billing" / stream).glob("*.yaml")
    file.write_text(file.read_text().replace("format: detect", "format: papyrus"))
