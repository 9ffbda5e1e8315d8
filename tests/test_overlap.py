"""No billing account counts twice in a month, and none goes from it unnoticed."""

import gzip
import json
import shutil
from datetime import datetime
from decimal import Decimal

import pytest

from etl import cli, validate
from etl.billing import stages
from etl.errors import SourceError
from etl.settings import ROOT
from tests.bills import FOLDER, bill, land, line

FIRST, SECOND, THIRD, FOURTH = (datetime(2026, 10, day, 6) for day in (20, 21, 22, 23))
ROW = {
    "billing_account_id": "01-B",
    "service": {"description": "Compute Engine"},
    "usage_start_time": "2026-10-05T00:00:00Z",
    "usage_end_time": "2026-10-05T01:00:00Z",
    "cost": 1.25,
    "currency": "USD",
    "invoice": {"month": "202610"},
    "cost_type": "regular",
}

OCI = {
    "lineItem/intervalUsageStart": "2026-10-05T10:00Z",
    "lineItem/intervalUsageEnd": "2026-10-05T11:00Z",
    "lineItem/isCorrection": "false",
    "product/service": "COMPUTE",
    "cost/myCost": "2",
    "cost/currencyCode": "USD",
}

OF_NOVEMBER = {
    "BillingPeriodStart": "2026-11-01T00:00:00Z",
    "BillingPeriodEnd": "2026-12-01T00:00:00Z",
}
NOVEMBER = "billing/aws/focus/export/billing_period=2026-11/one.csv"

pytestmark = pytest.mark.usefixtures("quick_judge")


def billed(lake) -> dict[str, Decimal]:
    found = lake.rows(
        "SELECT billing_account_id AS one, sum(billed_cost) AS cost FROM charge GROUP BY 1"
    )
    return {row["one"]: row["cost"] for row in found}


def states(lake) -> list[tuple]:
    found = lake.rows("SELECT billing_period, state, reason FROM delivery ORDER BY ALL")
    return [tuple(one.values()) for one in found]


def test_an_account_goes_from_its_month_only_where_the_month_is_asked_for(lake):
    # given a month of two accounts, and another export of one of them below the same path, beside a good month
    land(lake, "one.csv", bill(line(), line(BillingAccountId="0999")), FIRST)
    stages.ingest("aws_focus", "first")
    land(lake, "other.csv", bill(line(BilledCost="9")), SECOND)
    lake.land(NOVEMBER, bill(line(BilledCost="100") | OF_NOVEMBER), SECOND)

    # then the other one is not lost with the newer delivery, which waits; the good month is published
    (why,) = stages.ingest("aws_focus", "second")["refused"]
    assert "0999 is loaded, and the newer" in why and why.endswith("this delivery does not count")
    assert billed(lake) == {"0123": Decimal("101.25"), "0999": Decimal("1.25")}
    assert states(lake) == [
        ("2026-10", "complete", "account_gone"),
        ("2026-10", "loaded", None),
        ("2026-11", "loaded", None),
    ]
    assert not lake.rows("FROM charge_restatement")

    # and another month that is asked for by name says nothing of it
    assert not stages.ingest("aws_focus", "november", "2026-11")["refused"]

    # and where the provider did take it away, the month is asked for by name
    assert not stages.ingest("aws_focus", "third", "2026-10")["refused"]
    assert billed(lake) == {"0123": Decimal(109)}


def test_a_refused_month_is_told_of_until_it_heals_and_is_published_then(
    lake, capsys, tmp_path, monkeypatch
):
    # given a month that two contracts deliver, and one that only the second delivers
    land(lake, "one.csv", bill(line()), FIRST)
    stages.ingest("aws_focus", "first")
    land_export(lake, "2026-10", bill(line(BilledCost="9")))
    land_export(lake, "2026-11", bill(line(BilledCost="100") | OF_NOVEMBER))
    for _ in range(2):  # again, though nothing new came
        assert cli.main(["billing", "ingest", "aws_focus_export"]) == 1
        told = capsys.readouterr()
        assert "2026-10: the month of billing account 0123 is loaded by the contract" in told.err
    broken = tmp_path / "contracts"  # which hides nothing of the others
    shutil.copytree(ROOT / "contracts", broken)
    (broken / "billing/aws_cur/1.0.0.yaml").write_text("id: [")
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(broken))
    with pytest.raises(SourceError, match="aws_focus_export 2026-10: the month of billing account"):
        stages.alarm()
    monkeypatch.delenv("USAGE_EXPORT_CONTRACTS")
    assert billed(lake) == {"0123": Decimal("101.25")}

    # when the account is no longer in the first one's month
    land(lake, "two.csv", bill(line(BillingAccountId="0999")), SECOND)
    stages.ingest("aws_focus", "second", "2026-10")

    # then the next run finds it by itself
    assert cli.main(["billing", "ingest", "aws_focus_export"]) == 0
    assert billed(lake) == {"0123": Decimal(109), "0999": Decimal("1.25")}
    (october,) = lake.rows(
        "SELECT rows, held_against FROM delivery WHERE reason IS NULL AND "
        "stream = 'aws_focus_export' AND billing_period = '2026-10'"
    )
    assert october == {"rows": 1, "held_against": None}


ACCOUNTS = "/providers/Microsoft.Billing/billingAccounts"


@pytest.mark.parametrize(
    ("number", "path"),
    [("0123", f"{ACCOUNTS}/0123"), ("AB-CD", f"{ACCOUNTS}/9:9_2019-05-31/billingProfiles/AB-CD")],
)
def test_an_account_is_the_same_by_its_full_name(lake, number, path):
    # given a month under an account's number, as Azure's cost details name it, and by FOCUS with the path to it
    land(lake, "one.csv", bill(line(BillingAccountId=number)), FIRST)
    stages.ingest("aws_focus", "first")
    land_export(lake, "2026-10", bill(line(BillingAccountId=path)))

    (why,) = stages.ingest("aws_focus_export", "second")["refused"]
    assert f"billing account {number} is loaded by the contract aws_focus" in why


def test_a_number_and_the_end_of_some_other_path_are_two_accounts(lake):
    land(lake, "one.csv", bill(line(BillingAccountId="1")), FIRST)
    stages.ingest("aws_focus", "first")
    paths = ("/tenants/c/1", f"{ACCOUNTS}/2/other/1", f"{ACCOUNTS}/1/billingProfiles/2")
    land_export(lake, "2026-10", bill(*(line(BillingAccountId=path) for path in paths)))

    assert not stages.ingest("aws_focus_export", "second")["refused"]


def test_exports_of_two_scopes_below_one_path_do_not_take_the_month_from_each_other(lake):
    # given a month of three subscriptions, and one with a subscription that costs nothing
    subs = [line(SubAccountId=f"/subscriptions/{name}") for name in "ABC"]
    free = line(SubAccountId="free", BilledCost="0", EffectiveCost="0")
    land(lake, "one.csv", bill(*subs, free), FIRST)
    stages.ingest("aws_focus", "first")

    # when one of them goes, and what costs nothing, the month moves; when most go, it waits
    land(lake, "two.csv", bill(*subs[:2]), SECOND)
    assert not stages.ingest("aws_focus", "second")["refused"]
    land(lake, "three.csv", bill(line(SubAccountId="D")), THIRD)
    (why,) = stages.ingest("aws_focus", "third")["refused"]
    assert "0123 2 sub-accounts are loaded, and the newer delivery has nothing of 2" in why
    assert billed(lake) == {"0123": Decimal("2.5")}

    # and however a sub-account is spelled, it is the same; asked for, the month is what came
    land(lake, "four.csv", bill(*(line(SubAccountId=name) for name in "ab")), FOURTH)
    assert not stages.ingest("aws_focus", "fourth")["refused"]
    land(lake, "five.csv", bill(line(SubAccountId="D")), datetime(2026, 10, 24))
    assert stages.ingest("aws_focus", "fifth")["refused"]
    assert not stages.ingest("aws_focus", "asked", "2026-10")["refused"]
    assert billed(lake) == {"0123": Decimal("1.25")}


def test_two_accounts_whose_paths_end_alike_are_two(lake):
    # given a month of two accounts of one number below two paths
    both = [line(BillingAccountId=path) for path in ("/tenants/a/1", "/tenants/b/1")]
    land(lake, "one.csv", bill(*both), FIRST)
    stages.ingest("aws_focus", "first")

    # then a third one in another export is no second time of them, and none of the two goes unnoticed
    land_export(lake, "2026-10", bill(line(BillingAccountId="/tenants/c/1")))
    assert not stages.ingest("aws_focus_export", "other")["refused"]
    land(lake, "two.csv", bill(both[0]), SECOND)
    (why,) = stages.ingest("aws_focus", "second")["refused"]
    assert "billing account /tenants/b/1 is loaded, and the newer delivery has nothing of it" in why


def land_export(
    lake, month: str, body: bytes, at: datetime = FIRST, run: str | None = None
) -> None:
    """A delivery of the same provider by another contract."""
    folder = "billing/aws/focus_export/exports/focus"
    lake.land(f"{folder}/data/{month}.csv", body, at)
    files = [f"s3://exports-bucket/exports/focus/data/{month}.csv"]
    manifest = json.dumps({"executionId": run or f"{month} {at}", "dataFiles": files}).encode()
    lake.land(f"{folder}/metadata/billing_period={month}/focus-Manifest.json", manifest, at)


def test_bytes_that_lie_in_two_places_add_their_rows_once(lake):
    body = bill(line())
    lake.land("billing/oci/focus/x/2026/10/20/one.csv", body, FIRST)
    lake.land("billing/oci/focus/copy/2026/10/20/one.csv", body, SECOND)
    stages.ingest("oci_focus", "first")

    assert billed(lake) == {"0123": Decimal("1.25")}
    found = lake.rows("SELECT state, reason FROM delivery ORDER BY submitted_at")
    assert [tuple(one.values()) for one in found] == [
        ("loaded", None),
        ("superseded", "same_content"),
    ]


def test_oracle_s_two_reports_of_a_tenancy_are_not_added(lake):
    # given the cost report, which names the tenancy, and the FOCUS report, of which that is the sub-account
    tenancy = "ocid1.tenancy.oc1..a"
    report = OCI | {"lineItem/tenantId": tenancy, "product/compartmentId": tenancy}
    nameless = report | {"cost/currencyCode": ""}  # in the currency of the account
    both = gzip.compress(bill(report, nameless))
    lake.land("billing/oci/reports/cost-csv/1.csv.gz", both, FIRST)
    stages.ingest("oci_cost", "first")
    focus = [line(BillingAccountId="20209880", SubAccountId=name) for name in ("other", tenancy)]
    lake.land("billing/oci/focus/x/2026/10/20/one.csv", bill(*focus), FIRST)

    (why,) = stages.ingest("oci_focus", "second")["refused"]
    assert f"billing account {tenancy} is loaded by the contract oci_cost" in why
    assert billed(lake) == {tenancy: Decimal(4)}


def test_what_is_overwritten_with_a_copy_takes_its_rows_back(lake):
    # given two objects of which the second one was wrong
    lake.land("billing/oci/focus/x/2026/10/20/one.csv", bill(line()), FIRST)
    lake.land("billing/oci/focus/x/2026/10/20/two.csv", bill(line(BilledCost="9")), FIRST)
    stages.ingest("oci_focus", "first")

    # when it is overwritten with what the first one holds
    lake.land("billing/oci/focus/x/2026/10/20/two.csv", bill(line()), SECOND)
    stages.ingest("oci_focus", "second")

    assert billed(lake) == {"0123": Decimal("1.25")}
    (moved,) = lake.rows("SELECT billed_difference, cause FROM charge_restatement")
    assert moved["billed_difference"] == -9 and "two.csv@" in moved["cause"]


def test_two_tables_of_one_account_are_not_added(lake):
    # given the standard export, and the detailed one of the same costs
    land_table(lake, "standard", "2026-10-20", ROW)
    stages.ingest("gcp_billing", "first")
    land_table(lake, "resource", "2026-10-20", ROW | {"resource": {"name": "vm"}})

    land_table(lake, "standard", "2026-10-21", ROW | {"invoice": {"month": "202611"}, "cost": 7})

    # then what touches that month waits, and what does not is published
    (why,) = stages.ingest("gcp_billing", "second")["refused"]
    assert "2026-10: the month of billing account 01-B lies in two folders" in why
    assert billed(lake) == {"01-B": Decimal("8.25")}

    # when the second one is taken away, then nothing waits any more
    gone = f"{lake.name}/billing/gcp/json/resource/export_date=2026-10-20"
    for name in ("part.json.gz", "_SUCCESS.json"):
        lake.client.delete_object(Bucket="landing", Key=f"{gone}/{name}")
    assert not stages.ingest("gcp_billing", "third")["refused"]
    assert ("2026-10", "seen", "vanished") in states(lake)
    assert billed(lake) == {"01-B": Decimal("8.25")}


def test_a_month_that_breaks_an_expectation_holds_back_no_other(lake, tmp_path, monkeypatch):
    land(lake, "one.csv", bill(line(), line(BillingCurrency="EUR")), FIRST)
    lake.land(NOVEMBER, bill(line(BilledCost="100") | OF_NOVEMBER), FIRST)

    (why,) = stages.ingest("aws_focus", "first")["refused"]
    assert "charge" in why and "2026-10" in why and why.endswith("this delivery does not count")
    assert billed(lake) == {"0123": Decimal(100)}
    assert states(lake) == [("2026-10", "complete", "not_valid"), ("2026-11", "loaded", None)]

    # and once the rule is another, the next run reads it again
    shutil.copytree(validate.EXPECTATIONS, tmp_path / "rules")
    monkeypatch.setattr(validate, "EXPECTATIONS", tmp_path / "rules")
    for file in (tmp_path / "rules").glob("charge*.json"):
        suite = json.loads(file.read_text())
        rules = [one for one in suite["expectations"] if "currency_mixed" not in str(one)]
        file.write_text(json.dumps(suite | {"expectations": rules}))
    assert not stages.ingest("aws_focus", "second")["refused"]
    assert billed(lake) == {"0123": Decimal("102.5")}


def test_two_currencies_of_an_account_are_told_with_their_lines(lake):
    """FOCUS: what is billed is in the currency of the invoice. So one of them is mostly a line gone wrong."""
    other = line(BillingAccountId="77", BillingCurrency="CHF")
    lines = (line(), other, line(BillingCurrency="EUR"), line(BillingCurrency="eur"), line())
    land(lake, "one.csv", bill(*lines), FIRST)

    (why,) = stages.ingest("aws_focus", "first")["refused"]

    of = f"of {FOLDER}/one.csv"
    assert [one.strip() for one in why.splitlines() if "account 0123" in one] == [
        f"account 0123 in EUR: 1 line, row 3 {of}",
        f"account 0123 in USD: 2 lines, the first row 1 {of}",
        f"account 0123 in eur: 1 line, row 4 {of}",
    ]
    assert "currency_malformed" in why and f"first at {FOLDER}/one.csv:4" in why
    assert "account 77" not in why and "land them mended" in why

    # where they come in two deliveries that add rows, only the days of the month tell
    land_table(lake, "standard", "2026-10-20", ROW, ROW)
    land_table(lake, "standard", "2026-10-21", ROW | {"currency": "EUR"})
    (why,) = stages.ingest("gcp_billing", "second")["refused"]
    assert "account 01-B in EUR: 1 line" in why and "account 01-B in USD: 2 lines" in why


def test_two_tables_of_one_account_as_csv_are_not_added(lake):
    # given the standard table, objects of which stand for themselves and lie in folders by their day
    for folder in ("2026/10/20", "day=21", "20261022T0400"):
        lake.land(f"billing/gcp/csv/standard/{folder}/{folder[-2:]}.csv", flat(folder[-2:]), FIRST)
    assert not stages.ingest("gcp_billing_csv", "first")["refused"]

    # when the detailed one of the same costs lands beside it
    lake.land("billing/gcp/csv/detailed/2026/10/20/part.csv", flat("66"), FIRST)
    (why,) = stages.ingest("gcp_billing_csv", "second")["refused"]

    assert "2026-10: the month of billing account 01-B lies in two folders" in why
    assert billed(lake) == {"01-B": Decimal(20 + 21)}


def flat(cost: str) -> bytes:
    """A line of Google's table as CSV."""
    row = {
        "billing_account_id": "01-B",
        "service.description": "Compute Engine",
        "usage_start_time": "2026-10-05T00:00:00Z",
        "usage_end_time": "2026-10-05T01:00:00Z",
        "cost": cost,
        "currency": "USD",
        "invoice.month": "202610",
        "cost_type": "regular",
    }
    return bill(row)


def test_rows_of_a_table_that_come_again_in_the_next_folder_are_not_added(lake):
    # given a job that writes the month to date each day, each row with the time of its export
    rows = [ROW | {"cost": n, "export_time": f"2026-10-0{n} 03:00:00 UTC"} for n in (1, 2)]
    land_table(lake, "standard", "2026-10-01", rows[0])
    stages.ingest("gcp_billing", "first")
    land_table(lake, "standard", "2026-10-02", rows[1], rows[0])

    (why,) = stages.ingest("gcp_billing", "second")["refused"]

    # then they count once, and it says which, and what to write instead
    folder = "billing/gcp/json/standard/export_date=2026-10"
    came = f"1 of 1 row of {folder}-01/part.json.gz came with the same export_time in {folder}-02/"
    assert came in why
    assert billed(lake) == {"01-B": Decimal(1)}

    # when the folder is written again without them, then nothing waits any more
    land_table(lake, "standard", "2026-10-02", rows[1])
    assert not stages.ingest("gcp_billing", "third")["refused"]
    assert billed(lake) == {"01-B": Decimal(3)}


def test_single_equal_rows_of_two_deliveries_are_two(lake):
    """As where one export of a table is cut into several objects: its rows have no key."""
    same, *others = (
        ROW | {"cost": n, "export_time": "2026-10-01 03:00:00 UTC"} for n in (1, 2, 4, 8, 16)
    )
    land_table(lake, "standard", "2026-10-01", same, *others[:2])
    land_table(lake, "standard", "2026-10-02", same, *others[2:])

    assert not stages.ingest("gcp_billing", "first")["refused"]
    assert billed(lake) == {"01-B": Decimal(32)}


def test_equal_rows_of_two_accounts_are_two(lake):
    # given a table an account, and a charge of each that is of no project
    for account in ("01-B", "02-C"):
        row = {"billing_account_id": account, "export_time": "2026-10-01 03:00:00 UTC"}
        land_table(lake, account, "2026-10-01", ROW | row)

    assert not stages.ingest("gcp_billing", "first")["refused"]
    assert billed(lake) == dict.fromkeys(("01-B", "02-C"), Decimal("1.25"))


@pytest.mark.parametrize("folder", ["{:%Y-%m}", "costs_{:%Y%m}", "year={:%Y}-month={:%m}"])
def test_the_folders_of_two_months_hold_one_export(lake, folder):
    # given a month that is still charged for in the next one, as every month is
    for cost, day in ((1, FIRST), (2, FIRST.replace(month=11, day=2))):
        land_table(lake, folder.format(day, day), f"{day:%F}", ROW | {"cost": cost})
    stages.ingest("gcp_billing", "first")

    assert billed(lake) == {"01-B": Decimal(3)}


def land_table(lake, table: str, day: str, *rows: dict) -> None:
    folder = f"billing/gcp/json/{table}/export_date={day}"
    body = "\n".join(map(json.dumps, rows)).encode()
    lake.land(f"{folder}/part.json.gz", gzip.compress(body), FIRST)
    lake.land(f"{folder}/_SUCCESS.json", b"{}", FIRST)
