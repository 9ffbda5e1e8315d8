"""One export takes over from another: month by month, in one release each, and never back."""

import csv
import gzip
import io
import json
import shutil
from datetime import datetime, timedelta
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
import yaml

from etl import cli
from etl.billing import absence, stages, succession
from etl.billing import contract as billing_contract
from etl.billing.delivery import SUPERSEDED, Delivery
from etl.errors import ContractError, SourceError, StaleInput
from etl.settings import ROOT
from tests.bills import bill, land, line
from tests.test_billing import CUR2, land_cur2, shared
from tests.test_overlap import NOVEMBER, OF_NOVEMBER, land_export

FIRST, SECOND = datetime(2026, 10, 20, 6), datetime(2026, 10, 21, 6)
CLOSED = datetime(2026, 11, 20, 6)
OLD, NEW = "aws_focus", "aws_focus_export"
HELD = ("charge", "charge_daily", "charge_control", "delivery_object")

pytestmark = pytest.mark.usefixtures("quick_judge")


@pytest.fixture
def contracts(tmp_path, monkeypatch):
    """Contracts of bills in which each of these takes over from another."""

    def change(**succeeds: str):
        folder = tmp_path / "contracts"
        shutil.copytree(ROOT / "contracts", folder, dirs_exist_ok=True)
        for stream, before in succeeds.items():
            (file,) = (folder / "billing" / stream).glob("*.yaml")
            body = yaml.safe_load(file.read_text())
            body["customProperties"].append({"property": "billing.succeeds", "value": before})
            file.write_text(yaml.safe_dump(body, sort_keys=False))
        monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(folder))
        return folder

    return change


def billed(lake) -> dict[tuple, Decimal]:
    found = lake.rows(
        "SELECT stream, billing_period AS month, sum(billed_cost)::DECIMAL(38,18) AS cost "
        "FROM charge_daily GROUP BY ALL"
    )
    return {(one["stream"], one["month"]): one["cost"] for one in found}


def states(lake, stream: str) -> list[tuple]:
    found = lake.rows(
        "SELECT billing_period, state, reason FROM delivery "
        f"WHERE stream = '{stream}' ORDER BY submitted_at, billing_period"
    )
    return [tuple(one.values()) for one in found]


@pytest.fixture
def two_months(lake, contracts) -> None:
    """Two months of the old export, one of them of two accounts."""
    contracts(**{NEW: OLD})
    land(lake, "one.csv", bill(line(), line(BillingAccountId="0999")), FIRST)
    lake.land(NOVEMBER, bill(line(BilledCost="100") | OF_NOVEMBER), FIRST)
    stages.ingest(OLD, "old")


def test_an_empty_delivery_takes_over_no_month(lake, two_months):
    land_export(lake, "2026-10", bill(), FIRST)

    for run, asked in (("first", None), ("asked", "2026-10"), ("again", "2026-10")):
        (why,) = stages.ingest(NEW, run, asked)["refused"]
        assert f"2 rows are loaded by {OLD}, and what is empty takes over no month" in why
    assert set(billed(lake)) == {(OLD, "2026-10"), (OLD, "2026-11")}


def test_an_empty_delivery_is_not_in_the_way_of_an_older_one_that_is_asked_for(lake, two_months):
    # given one without an account that is loaded, and a newer one without a line
    land_export(lake, "2026-10", bill(line()), FIRST)
    stages.ingest(NEW, "lost")
    folder = "billing/aws/focus_export/exports/later"
    lake.land(f"{folder}/none.csv", bill(), SECOND)
    manifest = {"executionId": "later", "dataFiles": ["s3://b/exports/later/none.csv"]}
    place = f"{folder}/metadata/billing_period=2026-10/later-Manifest.json"
    lake.land(place, json.dumps(manifest).encode(), SECOND)
    stages.ingest(NEW, "empty")

    # then the older one takes over the month where that is asked for
    stages.ingest(NEW, "asked", "2026-10")
    assert billed(lake)[(NEW, "2026-10")] == Decimal("1.25")
    assert set(billed(lake)) == {(NEW, "2026-10"), (OLD, "2026-11")}


def test_a_month_does_not_go_over_by_half(lake, two_months):
    # when the new one delivers the first of them with one account only, then it stays as it is
    land_export(lake, "2026-10", bill(line()), FIRST)
    (why,) = stages.ingest(NEW, "lost")["refused"]
    assert "0999 is loaded, and the newer delivery has nothing of it" in why
    assert set(billed(lake)) == {(OLD, "2026-10"), (OLD, "2026-11")}

    # and when it ends before what is loaded, too
    early = {"ChargePeriodStart": "2026-10-01T00:00:00Z", "ChargePeriodEnd": "2026-10-02T00:00:00Z"}
    land_export(
        lake, "2026-10", bill(line(**early), line(**early, BillingAccountId="0999")), SECOND
    )
    (why,) = stages.ingest(NEW, "early")["refused"]
    assert "ends on 2026-10-01, what is loaded on 2026-10-02" in why
    assert states(lake, NEW)[-1] == ("2026-10", "rejected", "partial_month")
    assert set(billed(lake)) == {(OLD, "2026-10"), (OLD, "2026-11")}

    # and when it begins after it, as an export does that was made in the middle of a month, then somebody must say so
    late = {"ChargePeriodStart": "2026-10-15T00:00:00Z", "ChargePeriodEnd": "2026-10-16T00:00:00Z"}
    body = bill(line(**late), line(**late, BillingAccountId="0999"))
    land_export(lake, "2026-10", body, SECOND + timedelta(hours=1))
    (why,) = stages.ingest(NEW, "late")["refused"]
    assert "begins on 2026-10-15, and what it would take over on 2026-10-02" in why
    assert not stages.ingest(NEW, "asked", "2026-10")["refused"]
    assert set(billed(lake)) == {(NEW, "2026-10"), (OLD, "2026-11")}


def test_a_month_goes_over_whole_and_says_what_moved_and_never_back(lake, two_months, capsys):
    # when the new one delivers all of it, and a line costs more
    body = bill(line(BilledCost="3"), line(BillingAccountId="0999"))
    land_export(lake, "2026-10", body, CLOSED)
    release = stages.ingest(NEW, "over")["release"]

    # then one release has the month under the new contract and nothing of it under the old one
    expected = {(NEW, "2026-10"): Decimal("4.25"), (OLD, "2026-11"): Decimal(100)}
    assert billed(lake) == expected
    before = lake.rows("SELECT sum(billed_cost)::DOUBLE AS cost FROM charge", release - 1)
    assert before == [{"cost": 102.5}]
    assert [len(lake.release().partitions(table)) for table in HELD] == [2, 2, 2, 2]
    assert ("2026-10", "superseded", "taken_over") in states(lake, OLD)
    moved = lake.rows(
        "SELECT stream, billing_account_id AS account, billed_difference::DOUBLE AS cost, "
        "rows_added, rows_removed, closed FROM charge_restatement"
    )
    assert [tuple(one.values()) for one in moved] == [(NEW, "0123", 1.75, 0, 0, 1)]

    # and neither lane moves it again: not by a rerun, and not by what the old export still delivers
    for stream in (NEW, OLD):
        stages.ingest(stream, f"again-{stream}")
        assert lake.release().number == release
    land(lake, "late.csv", bill(line(BilledCost="9")), datetime(2026, 10, 23))
    assert cli.main(["billing", "ingest", OLD]) == 0
    assert cli.main(["billing", "ingest", OLD, "--period", "2026-10"]) == 0
    assert "late.csv" in (out := capsys.readouterr().out) and "superseded taken_over" in out
    assert billed(lake) == expected
    assert lake.rows("SELECT count(*) AS n FROM charge_restatement") == [{"n": 1}]


def validated_side_by_side(lake) -> None:
    """The same month by both contracts, and both lanes before publishing."""
    land(lake, "one.csv", bill(line()), FIRST)
    land_export(lake, "2026-10", bill(line(BilledCost="3")), FIRST)
    for stream in (OLD, NEW):
        stages.deliver(stream, "both")
        stages.load(stream, "both", 0)
        stages.settle(stream, "both")
        stages.validate(stream, "both")


def test_of_two_lanes_that_run_at_once_one_loses_and_the_month_counts_once(lake, contracts):
    contracts(**{NEW: OLD})
    validated_side_by_side(lake)

    stages.publish(NEW, "both")
    with pytest.raises(StaleInput, match="holds an account of aws_focus in the same month"):
        stages.publish(OLD, "both")
    stages.ingest(OLD, "both")

    assert billed(lake) == {(NEW, "2026-10"): Decimal(3)}
    assert states(lake, OLD) == [("2026-10", "superseded", "taken_over")]


def test_two_contracts_that_know_nothing_of_each_other_do_not_both_publish_an_account(lake):
    validated_side_by_side(lake)

    stages.publish(OLD, "both")
    with pytest.raises(StaleInput):
        stages.publish(NEW, "both")
    assert stages.ingest(NEW, "both")["refused"]
    assert billed(lake) == {(OLD, "2026-10"): Decimal("1.25")}


def test_a_month_that_waits_goes_over_once_the_line_behind_its_contract_reaches_who_has_it(
    lake, contracts, capsys
):
    # given a restated month of an export, and the third one of a line in which it is not named yet
    contracts(**{NEW: "aws_cur2"})
    land(lake, "one.csv", bill(line()), FIRST)
    stages.ingest(OLD, "one")
    land(lake, "two.csv", bill(line(BilledCost="3")), SECOND)
    stages.ingest(OLD, "two")
    land_export(lake, "2026-10", bill(line(BilledCost="3")), CLOSED)
    assert stages.ingest(NEW, "refused")["refused"]

    # when the second one is told to take over from it
    contracts(**{NEW: "aws_cur2", "aws_cur2": OLD})
    assert not stages.ingest(NEW, "over")["refused"]

    # then the third one has the month, and what had moved before is not what moved last
    assert billed(lake) == {(NEW, "2026-10"): Decimal(3)}
    assert cli.main(["billing", "statement"]) == 0
    (together,) = [one for one in capsys.readouterr().out.splitlines() if "together" in one]
    assert together.split()[-1] == "0.00"


@shared
@pytest.mark.shared_data
def test_a_real_month_of_the_legacy_report_goes_over_to_cur_2(lake, contracts):
    # given a month by the legacy report, written of the same lines
    contracts(aws_cur2="aws_cur")
    truth = json.loads((CUR2 / "control-totals.json").read_text())["delivery-1"]
    land_legacy(lake, 1)
    stages.ingest("aws_cur", "legacy")
    total = Decimal(truth["line_item_unblended_cost"])
    assert billed(lake) == {("aws_cur", "2023-11"): total}

    # when CUR 2.0 delivers it
    land_cur2(lake, 1)
    stages.ingest("aws_cur2", "first")

    # then it holds the month to the last digit, and no cost of any day has moved
    assert billed(lake) == {("aws_cur2", "2023-11"): total}
    (source,) = lake.rows(
        "SELECT sum(rows)::INT AS n, sum(source_cost::DECIMAL(38,20))::DECIMAL(38,18) AS cost "
        "FROM charge_control WHERE stage = 'source'"
    )
    assert source == {"n": truth["rows"], "cost": total}
    moved = lake.rows(
        "SELECT charge_date, sum(billed_difference) AS cost FROM charge_restatement "
        "GROUP BY ALL HAVING cost <> 0"
    )
    assert not moved

    # and the next delivery of either goes where it belongs
    land_cur2(lake, 3)
    stages.ingest("aws_cur2", "third")
    land_legacy(lake, 3)
    stages.ingest("aws_cur", "again")
    assert states(lake, "aws_cur")[-1] == ("2023-11", "superseded", "taken_over")
    assert set(billed(lake)) == {("aws_cur2", "2023-11")}


def land_legacy(lake, number: int) -> None:
    """The plain columns of a CUR 2.0 sample as the legacy report has them."""
    table = pq.read_table(min((CUR2 / f"delivery-{number}").rglob("*.parquet")))
    plain = [one.name for one in table.schema if "map" not in str(one.type)]
    text = io.StringIO()
    writer = csv.DictWriter(text, plain)
    writer.writeheader()
    writer.writerows(table.select(plain).to_pylist())
    folder = "billing/aws/cur/report/20231101-20231201"
    at = datetime(2023, 11, 8 + 7 * (number - 1), 6)
    lake.land(f"billing/aws/r-{number}.csv.gz", gzip.compress(text.getvalue().encode()), at)
    manifest = {
        "assemblyId": f"a{number}",
        "reportKeys": [f"r-{number}.csv.gz"],
        "billingPeriod": {"start": "20231101T000000.000Z", "end": "20231201T000000.000Z"},
    }
    lake.land(f"{folder}/report-Manifest.json", json.dumps(manifest).encode(), at)


# ---- the contract


@pytest.mark.parametrize(
    ("succeeds", "says"),
    [
        ({"aws_cur2": "aws_cur2"}, "is this contract itself"),
        (
            {"aws_cur2": "aws_kur"},
            "aws_kur is no billing contract: known are aws_cur, .* else put its contract back",
        ),
        ({"aws_cur2": "gcp_focus"}, "is of the provider gcp, this contract of aws"),
        ({"aws_cur2": "aws_cur", "aws_cur": "aws_cur2"}, "takes over from this contract itself"),
        ({"azure_actual": "azure_amortized"}, "holds another part of the same bill"),
        ({"gcp_focus": "gcp_billing"}, "whose deliveries each hold a whole month"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_contract_that_cannot_take_over_is_refused(contracts, capsys, succeeds, says):
    folder = contracts(**succeeds)

    with pytest.raises(ContractError, match=says):
        succession.refuse_wrong(folder, billing_contract.load(folder, next(iter(succeeds))))


def test_what_a_contract_takes_over_is_a_line_with_its_complements(contracts):
    folder = contracts(aws_cur2_csv="aws_cur2", aws_cur2="aws_cur", azure_focus="azure_actual")

    def of(stream: str) -> set[str]:
        return set(succession.predecessors(folder, billing_contract.load(folder, stream)))

    assert of("aws_cur2_csv") == {"aws_cur2", "aws_cur"}
    assert of("azure_focus") == {"azure_actual", "azure_amortized"}
    assert of("aws_cur") == set()


def test_nobody_is_woken_for_an_export_whose_months_another_has(lake):
    contract = billing_contract.load(ROOT / "contracts", OLD)
    row = Delivery(OLD, "aws", "2026-10", "d", "loaded", FIRST, landed_at=FIRST)
    late = FIRST + timedelta(days=9)

    def said(*rows: Delivery) -> str | None:
        return absence.overdue(None, ROOT / "contracts", contract, list(rows), late)

    assert said(row) and not said(row.at(SUPERSEDED, "taken_over", NEW))


# ---- a wrong contract


def test_a_wrong_contract_stops_its_own_lane_and_no_other(lake, contracts):
    # given a month that the new contract took over, a second one, and a contract that is wrong since
    folder = contracts(**{NEW: OLD})
    land(lake, "one.csv", bill(line()), FIRST)
    stages.ingest(OLD, "old")
    land_export(lake, "2026-10", bill(line()), FIRST)
    stages.ingest(NEW, "new")
    land(lake, "two.csv", bill(line(BilledCost="9")), SECOND)
    lake.land(NOVEMBER, bill(line(BilledCost="100") | OF_NOVEMBER), SECOND)
    (file,) = (folder / "billing" / NEW).glob("*.yaml")
    good = file.read_text()
    file.write_text("id: [")

    # then only its own lane stops, and what it holds is not counted twice meanwhile
    with pytest.raises(ContractError, match=NEW):
        stages.ingest(NEW, "wrong")
    (why,) = stages.ingest(OLD, "beside")["refused"]
    assert f"loaded by the contract {NEW} already" in why
    assert set(billed(lake)) == {(NEW, "2026-10"), (OLD, "2026-11")}
    with pytest.raises(
        SourceError, match=f"{OLD} 2026-10: (?s:.*)/{NEW}/1.0.0.yaml: cannot be read"
    ):
        stages.alarm()
    assert stages.overdue("gcp_focus") == []

    # and once it is mended nothing waits
    file.write_text(good)
    assert not stages.ingest(OLD, "mended")["refused"]
    assert states(lake, OLD)[1] == ("2026-10", "superseded", "taken_over")


def test_a_contract_goes_on_where_the_one_that_it_took_over_from_is_wrong(lake, contracts):
    folder = contracts(**{NEW: OLD})
    land(lake, "one.csv", bill(line()), FIRST)
    stages.ingest(OLD, "old")
    (file,) = (folder / "billing" / OLD).glob("*.yaml")
    file.write_text("id: [")

    land_export(lake, "2026-10", bill(line()), FIRST)
    stages.ingest(NEW, "new")

    assert set(billed(lake)) == {(NEW, "2026-10")}
