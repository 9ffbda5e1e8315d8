"""normalize/azure_cost, normalize/gcp_billing, normalize/oci_cost: what each makes of one line."""

import gzip
import json
from datetime import datetime
from decimal import Decimal

import pytest

from etl.billing import stages, text_rows
from tests.bills import bill, mapped

AZURE = {
    "BillingAccountId": "861",
    "BillingPeriodStartDate": "09/01/2026",
    "BillingPeriodEndDate": "09/30/2026",
    "SubscriptionId": "sub-1",
    "Date": "09/21/2026",
    "MeterCategory": "Virtual Machines",
    "Quantity": "8",
    "Cost": "0.4",
    "UnitPrice": "0.1",
    "PayGPrice": "0.2",
    "BillingCurrency": "EUR",
    "ResourceId": "/Subscriptions/A/B",
    "ResourceLocation": "US East",
    "UnitOfMeasure": "1 Hour",
    "ChargeType": "Usage",
    "PricingModel": "OnDemand",
    "ReservationId": None,
    "Tags": '"env": "prod","team": "a"',
}
GCP = {
    "billing_account_id": "01-B",
    "service": {"id": "S1", "description": "Compute Engine"},
    "sku": {"id": "K1", "description": "a core"},
    "usage_start_time": "2026-09-30 23:00:00 UTC",  # as BigQuery extracts it
    "usage_end_time": "2026-10-01T00:00:00Z",
    "project": {"id": "p-1", "name": "one", "labels": [{"key": "team", "value": "a"}]},
    "labels": [{"key": "vm", "value": "x"}, {"key": "vm", "value": "y"}],
    "cost": 1.25,
    "currency": "USD",
    "credits": [{"amount": -0.25}, {"amount": -0.5}],
    "invoice": {"month": "202610"},
    "cost_type": "regular",
}
OCI = {
    "lineItem/referenceNo": "r1",
    "lineItem/tenantId": "ocid1.tenancy",
    "lineItem/intervalUsageStart": "2023-11-13T10:00Z",
    "lineItem/intervalUsageEnd": "2023-11-13T11:00:00Z",
    "lineItem/isCorrection": "false",
    "product/service": "COMPUTE",
    "cost/myCost": "2.323760000E-9",
    "cost/unitPrice": "0.00116188",
    "cost/currencyCode": "USD",
    "usage billedQuantity": "0.000002",
    "tags/Oracle-Tags.CreatedBy": "a@example.com",
    "tags/Team.Name": "a",
}


def azure(stream: str = "azure_actual", **values: str) -> dict:
    line = AZURE | values
    rows = (
        mapped("azure_actual", line)
        if stream == "azure_actual"
        else mapped("azure_amortized", line)
    )
    (row,) = rows
    return row


def gcp(**values: object) -> dict:
    (row,) = mapped("gcp_billing", GCP | values)
    return row


def oci(**values: str) -> dict:
    (row,) = mapped(
        "oci_cost", OCI | {name.replace("__", "/"): one for name, one in values.items()}
    )
    return row


def test_an_azure_line_has_its_four_costs_its_month_and_its_tags():
    row = azure()

    assert row["row_problem"] is None
    costs = ("list_cost", "contracted_cost", "billed_cost", "effective_cost")
    assert [row[name] for name in costs] == list(map(Decimal, ("1.6", "0.8", "0.4", "0.4")))
    assert row["billing_period_start"] == datetime(2026, 9, 1)
    assert row["billing_period_end"] == datetime(2026, 10, 1)  # the export says the last day
    assert row["charge_period_end"] == datetime(2026, 9, 22)
    assert json.loads(row["tags"]) == {"env": "prod", "team": "a"}
    assert (row["region_id"], row["resource_id"]) == ("useast", "/subscriptions/a/b")
    assert row["x_changes"]["lowered:resource_id"] == "/Subscriptions/A/B"
    assert "derived:list_cost" in row["x_changes"]


@pytest.mark.parametrize(
    ("stream", "values", "mirror", "billed", "effective"),
    [
        ("azure_actual", {}, False, "0.4", "0.4"),
        ("azure_amortized", {}, True, "0", "0.4"),
        ("azure_actual", {"PricingModel": "Reservation"}, False, "0.4", "0"),
        ("azure_amortized", {"PricingModel": "Reservation"}, False, "0", "0.4"),
        ("azure_amortized", {"PricingModel": "SavingsPlan"}, False, "0", "0.4"),
        ("azure_amortized", {"ChargeType": "UnusedReservation"}, False, "0", "0.4"),
        (
            "azure_actual",
            {"ChargeType": "Purchase", "PricingModel": "Reservation"},
            False,
            "0.4",
            "0",
        ),
    ],
)
def test_actual_cost_bills_and_amortized_cost_spreads(stream, values, mirror, billed, effective):
    row = azure(stream, **values)

    assert row["is_mirror"] == mirror
    assert (row["billed_cost"], row["effective_cost"]) == (Decimal(billed), Decimal(effective))


@pytest.mark.parametrize(
    ("kind", "category", "charge_class"),
    [
        ("Usage", "Usage", None),
        ("UnusedSavingsPlan", "Usage", None),
        ("Purchase", "Purchase", None),
        ("Tax", "Tax", None),
        ("Credit", "Credit", None),
        ("Refund", "Purchase", "Correction"),
        ("RoundingAdjustment", "Adjustment", None),
        ("ANewKind", "Adjustment", None),
    ],
)
def test_kinds_of_azure_lines(kind, category, charge_class):
    row = azure(ChargeType=kind)

    assert (row["charge_category"], row["charge_class"]) == (category, charge_class)


def test_a_google_row_is_net_of_all_its_credits_and_stays_one_row():
    row = gcp()

    assert row["row_problem"] is None
    assert (row["billed_cost"], row["contracted_cost"]) == (Decimal("0.5"), Decimal("1.25"))
    assert (row["x_source_cost"], row["x_source_credits"]) == (Decimal("1.25"), Decimal("-0.75"))
    # used in one month, invoiced in the next: both are kept
    assert row["charge_period_start"] == datetime(2026, 9, 30, 23)
    assert row["billing_period_start"] == datetime(2026, 10, 1)
    # of a label that stands twice the first one counts; the project's own are told apart
    assert json.loads(row["tags"]) == {"vm": "x", "project/team": "a"}


@pytest.mark.parametrize(
    ("values", "category", "charge_class"),
    [
        ({"cost_type": "tax"}, "Tax", None),
        (
            {"cost_type": "rounding_error", "usage_end_time": "2026-10-02T00:00:00Z"},
            "Adjustment",
            None,
        ),
        ({"cost_type": "adjustment"}, "Adjustment", "Correction"),
        (  # of no length, in the first moment of the month
            {"cost_type": "adjustment", "usage_start_time": "2026-10-01T00:00:00Z"},
            "Adjustment",
            None,
        ),
        (
            {"cost_type": "adjustment", "usage_end_time": "2026-09-30T23:00:00Z"},
            "Adjustment",
            "Correction",
        ),
    ],
)
def test_kinds_of_google_rows(values, category, charge_class):
    row = gcp(**values)

    assert (row["charge_category"], row["charge_class"]) == (category, charge_class)


@pytest.mark.parametrize("amount", [8.64e17, -99999999999999999999])
def test_google_counts_byte_seconds_beyond_what_a_cost_may_be(amount):
    row = gcp(usage={"amount": amount, "unit": "byte-seconds"})

    assert (row["consumed_quantity"], row["row_problem"]) == (Decimal(amount), None)
    assert gcp(cost=amount)["row_problem"] == "amount_too_large:cost"


@pytest.mark.parametrize("labels", [{"vm": "x"}, '{"vm": "x"}', "{'vm': 'x'}"])
def test_google_labels_that_a_job_made_an_object_of_are_kept(labels):
    assert json.loads(gcp(labels=labels)["tags"]) == {"vm": "x", "project/team": "a"}


def test_a_google_row_without_a_month_is_named():
    assert gcp(invoice={"month": "soon"})["row_problem"].startswith("time_not_readable")


@pytest.mark.parametrize(
    ("credits", "problem"),
    [
        ([{"amount": "much"}], "amount_not_a_number:credits"),
        ([{"amount": -1}, {"amount": 1e300}], "amount_too_large:credits"),
        ([{"amount": -1}, {"amount": -12345678901.5}, {"amount": -1e-21}], None),
        ([{"amount": -9e16}, {"amount": -9e15}], None),
        ([{"amount": -9e16}] * 12, "amount_too_large:credits"),
        ([{"amount": -1}, {"amount": -1e17}], "amount_too_large:credits"),
        (
            [{"amount": -1e-19}, {"amount": -1e11}, {"amount": "99999999999.0000000000000000001"}],
            "amount_too_large:credits",
        ),
        ({"amount": -1}, "not_json:credits"),
        ([{"name": "of no amount"}], None),
        (None, None),
    ],
)
def test_a_google_credit_that_cannot_be_summed_is_never_left_out(credits, problem):
    assert gcp(credits=credits)["row_problem"] == problem


def test_an_oracle_row_keeps_eighteen_places_and_drops_who_made_it():
    row = oci()

    assert row["row_problem"] is None
    assert row["billed_cost"] == row["list_cost"] == Decimal("0.00000000232376")
    assert row["charge_period_start"] == datetime(2023, 11, 13, 10)
    assert (row["x_row_key"], row["charge_class"]) == ("r1", None)
    assert json.loads(row["tags"]) == {"Team.Name": "a"}
    for word in ("true", "TRUE"):
        assert oci(lineItem__isCorrection=word)["charge_class"] == "Correction"


@pytest.mark.usefixtures("quick_judge")
@pytest.mark.parametrize("known", [["EUR"], ["EUR", "USD"], []])
def test_an_oracle_row_without_a_currency_has_the_only_one_of_its_report(lake, monkeypatch, known):
    # given a report that is read line by line
    def by_line(*given):
        return (table.slice(n, 1) for table in text_rows.rows(*given) for n in range(len(table)))

    monkeypatch.setattr(text_rows, "chunks", by_line)
    lines = [OCI | {"cost/currencyCode": one} for one in (*known, None)]
    body = gzip.compress(bill(*lines))
    lake.land("billing/oci/cost-csv/1.csv.gz", body, datetime(2023, 11, 14))

    stages.ingest("oci_cost", "first")

    if known == ["EUR"]:
        rows = lake.rows("SELECT billing_currency AS money, x_changes FROM charge ORDER BY x_row")
        assert [row["money"] for row in rows] == ["EUR", "EUR"]
        told = ["filled:billing_currency" in dict(row["x_changes"]) for row in rows]
        assert told == [False, True]
    else:  # never a guess
        (row,) = lake.rows("SELECT reason, detail FROM delivery")
        assert row["reason"] == "no_value"
        assert row["detail"].endswith(f"row {len(lines)}, column billing_currency")


@pytest.mark.parametrize("row", [azure, gcp, oci], ids=lambda one: one.__name__)
def test_a_subcategory_is_the_other_one_of_its_category(row):
    made = row()

    assert made["service_subcategory"] == f"Other ({made['service_category']})"


def test_an_azure_resource_has_the_type_that_its_id_tells():
    path = "/subscriptions/a/providers/Microsoft.Compute/virtualMachines/vm"

    assert azure(ResourceId=path)["resource_type"] == "microsoft.compute/virtualmachines"
    assert azure(ResourceId="b")["resource_type"] == "Virtual Machines"
    assert azure(ResourceId=None)["resource_type"] is None


@pytest.mark.parametrize("model", ["Reservation", "SavingsPlan"])
def test_a_quantity_under_a_commitment_counts_once_over_both_exports(model):
    pair = [azure(stream, PricingModel=model) for stream in ("azure_actual", "azure_amortized")]
    unused = azure("azure_amortized", ChargeType="UnusedReservation")

    assert sum(row["pricing_quantity"] for row in pair) == unused["pricing_quantity"] == 8
    assert [row["consumed_quantity"] for row in pair] == [None, 8]
    assert (unused["consumed_quantity"], unused["consumed_unit"]) == (None, None)  # by nobody


def test_the_purchase_of_an_azure_commitment_has_the_standard_price_and_what_it_covers_the_committed_one():
    bought, covered = (
        azure(ChargeType=kind, PricingModel="Reservation") for kind in ("Purchase", "Usage")
    )

    assert (bought["pricing_category"], covered["pricing_category"]) == ("Standard", "Committed")


def test_an_amortized_line_has_no_price_because_it_has_no_list_cost():
    row = azure("azure_amortized", PricingModel="Reservation")

    assert (row["list_cost"], row["contracted_cost"]) == (0, 0)
    assert (row["list_unit_price"], row["contracted_unit_price"]) == (None, None)


def test_an_azure_period_that_begins_on_any_day_is_a_calendar_month():
    # as pay-as-you-go accounts have it: else an export of September held rows of August, and was refused
    assert azure(BillingPeriodStartDate="08/15/2026")["billing_period_start"] == datetime(
        2026, 9, 1
    )
    assert azure(BillingPeriodStartDate=None)["billing_period_start"] == datetime(2026, 9, 1)
    assert azure(BillingPeriodStartDate="10/01/2026")["billing_period_start"] == datetime(
        2026, 10, 1
    )


@pytest.mark.parametrize(
    "row", [lambda: azure(MeterCategory=None), lambda: oci(product__service=None)]
)
def test_a_line_of_no_service_refuses_no_month(row):
    made = row()

    assert (made["row_problem"], made["service_name"]) == (None, "Unknown")
    assert "filled:service_name" in made["x_changes"]


MCA = {"BillingCurrency": "EUR", "pricingCurrency": "USD", "UnitPrice": "0.1", "PayGPrice": "0.2"}


@pytest.mark.parametrize(
    ("values", "contracted", "listed", "unit_price"),
    [
        ({"exchangeRatePricingToBilling": "0.5"}, "0.4", "0.8", "0.05"),
        (
            {"exchangeRatePricingToBilling": "0.5", "paygCostInBillingCurrency": "0.9"},
            "0.4",
            "0.9",
            "0.05",
        ),
        ({"exchangeRatePricingToBilling": "0.5", "pricingCurrency": "EUR"}, "0.8", "1.6", "0.1"),
        ({"exchangeRatePricingToBilling": None}, "0.4", "0.4", None),
        (  # of marketplace and of commitments Azure gives no pay-as-you-go price: that is zero
            {"exchangeRatePricingToBilling": "0.5"}
            | {"PayGPrice": "0", "paygCostInBillingCurrency": "0"},
            "0.4",
            "0.4",
            "0.05",
        ),
    ],
)
def test_azure_prices_of_another_currency_are_converted_at_the_rate_of_the_line(
    values, contracted, listed, unit_price
):
    # given 8 hours at 0.10 and 0.20 dollars, billed with 0.40 euros
    row = azure(**MCA | values)

    costs = [row[name] for name in ("contracted_cost", "list_cost", "billed_cost")]
    assert costs == list(map(Decimal, (contracted, listed, "0.4")))
    assert row["contracted_unit_price"] == (unit_price and Decimal(unit_price))
    assert row["pricing_currency_contracted_unit_price"] == Decimal("0.1")
    is_converted = values.get("exchangeRatePricingToBilling") and "pricingCurrency" not in values
    assert ("converted:contracted_cost" in row["x_changes"]) is bool(is_converted)


def test_a_google_tax_is_charged_once():
    assert gcp(cost_type="tax")["charge_frequency"] == "One-Time"
