"""No billing account counts twice in a month, and none goes from it unnoticed."""

import gzip
import json
from datetime import datetime
from decimal import Decimal

import pytest

from etl import billing
from etl.errors import SettingError
from tests.bills import bill, land, line

FIRST, SECOND = datetime(2026, 10, 20, 6), datetime(2026, 10, 21, 6)
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

pytestmark = pytest.mark.usefixtures("quick_judge")


def billed(lake) -> dict[str, Decimal]:
    found = lake.rows(
        "SELECT billing_account_id AS one, sum(billed_cost) AS cost FROM charge GROUP BY 1"
    )
    return {row["one"]: row["cost"] for row in found}


def test_an_account_goes_from_its_month_only_where_the_month_is_asked_for(lake):
    # given a month of two accounts, and another export of one of them below the same path
    land(lake, "one.csv", bill(line(), line(BillingAccountId="0999")), FIRST)
    billing.ingest("aws_focus", "first")
    land(lake, "other.csv", bill(line(BilledCost="9")), SECOND)
    november = {
        "BillingPeriodStart": "2026-11-01T00:00:00Z",
        "BillingPeriodEnd": "2026-12-01T00:00:00Z",
    }
    key = "billing/aws/focus/export/billing_period=2026-11/one.csv"
    lake.land(key, bill(line(BilledCost="100") | november), SECOND)

    # then the other one is not lost with the newer delivery
    with pytest.raises(SettingError, match=r"0999 is loaded, and the newer .* until then no month"):
        billing.ingest("aws_focus", "second")
    assert billed(lake) == {"0123": Decimal("1.25"), "0999": Decimal("1.25")}

    # and another month need not wait; where the provider did take it away, the month is asked for by name
    billing.ingest("aws_focus", "third", "2026-11")
    assert billed(lake) == {"0123": Decimal("101.25"), "0999": Decimal("1.25")}
    billing.ingest("aws_focus", "fourth", "2026-10")
    assert billed(lake) == {"0123": Decimal(109)}


def test_bytes_that_lie_in_two_places_add_their_rows_once(lake):
    body = bill(line())
    lake.land("billing/oci/focus/x/2026/10/20/one.csv", body, FIRST)
    lake.land("billing/oci/focus/copy/2026/10/20/one.csv", body, SECOND)
    billing.ingest("oci_focus", "first")

    assert billed(lake) == {"0123": Decimal("1.25")}
    found = lake.rows("SELECT state, reason FROM delivery ORDER BY submitted_at")
    assert [tuple(one.values()) for one in found] == [
        ("loaded", None),
        ("superseded", "same_content"),
    ]


def test_what_is_overwritten_with_a_copy_takes_its_rows_back(lake):
    # given two objects of which the second one was wrong
    lake.land("billing/oci/focus/x/2026/10/20/one.csv", bill(line()), FIRST)
    lake.land("billing/oci/focus/x/2026/10/20/two.csv", bill(line(BilledCost="9")), FIRST)
    billing.ingest("oci_focus", "first")

    # when it is overwritten with what the first one holds
    lake.land("billing/oci/focus/x/2026/10/20/two.csv", bill(line()), SECOND)
    billing.ingest("oci_focus", "second")

    assert billed(lake) == {"0123": Decimal("1.25")}
    (moved,) = lake.rows("SELECT billed_difference, cause FROM charge_restatement")
    assert moved["billed_difference"] == -9 and "two.csv@" in moved["cause"]


def test_two_tables_of_one_account_are_not_added(lake):
    # given the standard export, and the detailed one of the same costs
    land_table(lake, "standard", "2026-10-20", ROW)
    billing.ingest("gcp_billing", "first")
    land_table(lake, "resource", "2026-10-20", ROW | {"resource": {"name": "vm"}})

    with pytest.raises(SettingError, match="of billing account 01-B lies in two folders"):
        billing.ingest("gcp_billing", "second")
    assert billed(lake) == {"01-B": Decimal("1.25")}


@pytest.mark.parametrize("folder", ["{:%Y-%m}", "costs_{:%Y%m}", "year={:%Y}-month={:%m}"])
def test_the_folders_of_two_months_hold_one_export(lake, folder):
    # given a month that is still charged for in the next one, as every month is
    for cost, day in ((1, FIRST), (2, FIRST.replace(month=11, day=2))):
        land_table(lake, folder.format(day, day), f"{day:%F}", ROW | {"cost": cost})
    billing.ingest("gcp_billing", "first")

    assert billed(lake) == {"01-B": Decimal(3)}


def land_table(lake, table: str, day: str, row: dict) -> None:
    folder = f"billing/gcp/json/{table}/export_date={day}"
    lake.land(f"{folder}/part.json.gz", gzip.compress(json.dumps(row).encode()), FIRST)
    lake.land(f"{folder}/_SUCCESS.json", b"{}", FIRST)
