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

    # then the other one is not lost with the newer delivery
    with pytest.raises(SettingError, match="of billing account 0999 is loaded, and the newer"):
        billing.ingest("aws_focus", "second")
    assert billed(lake) == {"0123": Decimal("1.25"), "0999": Decimal("1.25")}

    # and where the provider did take it away, the month is asked for by name
    billing.ingest("aws_focus", "third", "2026-10")
    assert billed(lake) == {"0123": Decimal(9)}


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


def test_two_tables_of_one_account_are_not_added(lake):
    # given the standard export, and the detailed one of the same costs
    land_table(lake, "standard", "2026-10-20", ROW)
    billing.ingest("gcp_billing", "first")
    land_table(lake, "resource", "2026-10-20", ROW | {"resource": {"name": "vm"}})

    with pytest.raises(SettingError, match="of billing account 01-B lies in two folders"):
        billing.ingest("gcp_billing", "second")
    assert billed(lake) == {"01-B": Decimal("1.25")}


def land_table(lake, table: str, day: str, row: dict) -> None:
    folder = f"billing/gcp/json/{table}/export_date={day}"
    lake.land(f"{folder}/part.json.gz", gzip.compress(json.dumps(row).encode()), FIRST)
    lake.land(f"{folder}/_SUCCESS.json", b"{}", FIRST)
