"""normalize/aws_cur: costs by line type, as AWS documents them, from either form of the report."""

from decimal import Decimal

import pytest

from tests.bills import mapped

PERIOD = {
    "bill_billing_period_start_date": "2026-10-01T00:00:00Z",
    "bill_billing_period_end_date": "2026-11-01T00:00:00Z",
    "line_item_usage_start_date": "2026-10-02T00:00:00Z",
    "line_item_usage_end_date": "2026-10-02T01:00:00Z",
}
AMOUNTS = (
    *("line_item_unblended_cost", "line_item_net_unblended_cost", "pricing_public_on_demand_cost"),
    *("savings_plan_savings_plan_effective_cost", "savings_plan_total_commitment_to_date"),
    *("savings_plan_used_commitment", "reservation_effective_cost"),
    "reservation_unused_amortized_upfront_fee_for_billing_period",
    "reservation_unused_recurring_fee",
    "reservation_net_effective_cost",
    "reservation_net_unused_amortized_upfront_fee_for_billing_period",
    "reservation_net_unused_recurring_fee",
    "savings_plan_net_savings_plan_effective_cost",
    "savings_plan_amortized_upfront_commitment_for_billing_period",
    "savings_plan_recurring_commitment_for_billing_period",
    "savings_plan_net_amortized_upfront_commitment_for_billing_period",
    "savings_plan_net_recurring_commitment_for_billing_period",
)
LINE = {
    **PERIOD,
    **dict.fromkeys(AMOUNTS),
    "bill_payer_account_id": "012345678901",
    "line_item_usage_account_id": "000000000007",
    "line_item_currency_code": "USD",
    "line_item_line_item_type": "Usage",
    "line_item_line_item_description": None,
    "line_item_product_code": "AmazonEC2",
    "line_item_unblended_cost": "1.5",
    "line_item_usage_amount": "3",
    "pricing_unit": "Hrs",
    "product_sku": "SKU",
    "reservation_reservation_a_r_n": None,
    "savings_plan_savings_plan_a_r_n": None,
}
PLAN = {"savings_plan_savings_plan_a_r_n": "arn:plan"}
RESERVED = {"reservation_reservation_a_r_n": "arn:reserved"}


def one(**values: str) -> dict:
    (row,) = mapped("aws_cur2", LINE | values)
    assert row["row_problem"] is None
    return row


@pytest.mark.parametrize(
    ("kind", "given", "category", "billed", "effective"),
    [
        ("Usage", {}, "Usage", "1.5", "1.5"),
        ("Usage", {"line_item_net_unblended_cost": "1.2"}, "Usage", "1.2", "1.2"),
        ("Tax", {}, "Tax", "1.5", "1.5"),
        ("Credit", {"line_item_unblended_cost": "-2"}, "Credit", "-2", "-2"),
        ("Refund", {"line_item_unblended_cost": "-2"}, "Adjustment", "-2", "-2"),
        ("ANewKind", {}, "Adjustment", "1.5", "1.5"),
        (
            "SavingsPlanCoveredUsage",
            PLAN | {"savings_plan_savings_plan_effective_cost": "0.9"},
            *("Usage", "0", "0.9"),
        ),
        (
            "SavingsPlanNegation",
            PLAN | {"line_item_unblended_cost": "-1.5"},
            "Adjustment",
            "0",
            "0",
        ),
        (
            "SavingsPlanRecurringFee",
            PLAN
            | {
                "savings_plan_total_commitment_to_date": "1.5",
                "savings_plan_used_commitment": "0.9",
            },
            *("Purchase", "1.5", "0.6"),
        ),
        ("SavingsPlanUpfrontFee", PLAN, "Purchase", "1.5", "0"),
        (
            "DiscountedUsage",
            RESERVED | {"line_item_unblended_cost": "0", "reservation_effective_cost": "0.7"},
            *("Usage", "0", "0.7"),
        ),
        (
            "RIFee",
            RESERVED
            | {
                "reservation_unused_amortized_upfront_fee_for_billing_period": "0.1",
                "reservation_unused_recurring_fee": "0.2",
            },
            *("Purchase", "1.5", "0.3"),
        ),
        ("Fee", RESERVED, "Purchase", "1.5", "0"),
        ("Fee", {}, "Purchase", "1.5", "1.5"),
        ("FlatRateSubscription", {}, "Purchase", "1.5", "1.5"),
    ],
)
def test_each_kind_of_line_has_its_costs(kind, given, category, billed, effective):
    row = one(line_item_line_item_type=kind, **given)

    assert row["charge_category"] == category
    assert (row["billed_cost"], row["effective_cost"]) == (Decimal(billed), Decimal(effective))
    assert row["x_charge_type"] == kind


def test_a_month_of_a_savings_plan_is_billed_once_and_spread_whole():
    # given: an hour of 1.50 on demand, covered by 0.90 of a commitment of 1.00
    rows = mapped(
        "aws_cur2",
        LINE
        | PLAN
        | {
            "line_item_line_item_type": "SavingsPlanCoveredUsage",
            "savings_plan_savings_plan_effective_cost": "0.9",
        },
        LINE
        | PLAN
        | {"line_item_line_item_type": "SavingsPlanNegation", "line_item_unblended_cost": "-1.5"},
        LINE
        | PLAN
        | {
            "line_item_line_item_type": "SavingsPlanRecurringFee",
            "line_item_unblended_cost": "1",
            "savings_plan_total_commitment_to_date": "1",
            "savings_plan_used_commitment": "0.9",
        },
    )

    assert sum(row["billed_cost"] for row in rows) == Decimal(1)
    assert sum(row["effective_cost"] for row in rows) == Decimal(1)
    assert sum(row["x_source_cost"] for row in rows) == Decimal(1)


@pytest.mark.parametrize(
    ("said", "effective"),
    [("Refund for one-time fee for Savings Plan ID: 1", "0"), ("Enterprise discount", "-500")],
)
def test_a_plan_that_was_returned_is_effective_no_more_than_its_fee_was(said, effective):
    # as AWS writes it: without the plan's ARN, of a fee that was billed and is effective in what it covers
    cost = {"line_item_unblended_cost": "-500", "line_item_line_item_description": said}
    row = one(line_item_line_item_type="Refund", **cost)

    assert (row["billed_cost"], row["effective_cost"]) == (Decimal(-500), Decimal(effective))


@pytest.mark.parametrize("stream", ["aws_cur2", "aws_cur2_csv"])
def test_an_export_may_hold_its_tags_in_either_column(stream):
    # resource_tags need not be selected where tags is: it holds them too (AWS, "Resource tags columns")
    given = [{"tags": '{"a": "1"}'}, {"resource_tags": '{"a": "1"}', "tags": '{"b": "2"}'}]

    for tags in given:
        (row,) = mapped(stream, LINE | tags)
        assert row["tags"] == '{"a": "1"}'


def test_accounts_keep_their_zeros_and_tax_has_no_sku():
    row = one(line_item_line_item_type="Tax")

    assert (row["billing_account_id"], row["sub_account_id"]) == ("012345678901", "000000000007")
    assert (row["sku_id"], row["pricing_quantity"], row["pricing_unit"]) == (None, None, None)


@pytest.mark.parametrize(
    ("kind", "cost", "listed", "price", "is_filled"),
    [
        ("Tax", "0.04", "0.04", None, True),
        ("Credit", "-0.25", "-0.25", None, True),
        ("Usage", "3", "3", None, True),  # of the marketplace
        ("Usage", "0", "0", 0, False),
    ],
)
def test_a_price_on_demand_of_zero_is_none_where_something_is_billed(
    kind, cost, listed, price, is_filled
):
    # given that AWS writes zero where it has no such price; FOCUS wants the billed cost there ("List Cost")
    row = one(
        line_item_line_item_type=kind,
        line_item_unblended_cost=cost,
        pricing_public_on_demand_cost="0",
        pricing_public_on_demand_rate="0",
    )

    assert (row["list_cost"], row["list_unit_price"]) == (Decimal(listed), price)
    assert ("filled:list_cost" in row["x_changes"]) is is_filled


def test_what_was_filled_is_said():
    known, unknown = one(), one(line_item_product_code="SomethingNew")

    assert known["x_changes"] == {"filled:list_cost": "", "filled:sub_account_name": ""}
    assert unknown["service_category"] == "Other"
    assert "filled:service_category" in unknown["x_changes"]


def test_what_focus_wants_of_every_line_is_there():
    usage, tax, back = (
        one(line_item_line_item_type=kind, line_item_resource_id="i-1", product_product_family=None)
        for kind in ("Usage", "Tax", "SavingsPlanNegation")
    )

    assert usage["service_subcategory"] == f"Other ({usage['service_category']})"
    assert usage["resource_type"] == usage["service_name"]
    frequencies = [row["charge_frequency"] for row in (usage, tax, back)]
    assert frequencies == ["Usage-Based", "One-Time", "Usage-Based"]


def discounted(kind: str, cost: str, net: str | None, **values: str) -> dict:
    costs = {"line_item_unblended_cost": cost, "line_item_net_unblended_cost": net}
    arn = PLAN if kind.startswith("SavingsPlan") else RESERVED
    return (
        LINE
        | (arn if kind != "EdpDiscount" else {})
        | costs
        | {"line_item_line_item_type": kind}
        | values
    )


PLAN_HOUR = {
    "savings_plan_total_commitment_to_date": "1",
    "savings_plan_used_commitment": "0.9",
    "savings_plan_amortized_upfront_commitment_for_billing_period": "0.4",
    "savings_plan_recurring_commitment_for_billing_period": "0.6",
    "savings_plan_net_amortized_upfront_commitment_for_billing_period": "0.36",
    "savings_plan_net_recurring_commitment_for_billing_period": "0.54",
}
COVERED = {
    "savings_plan_savings_plan_effective_cost": "0.9",
    "savings_plan_net_savings_plan_effective_cost": "0.81",
}
USED = {"reservation_effective_cost": "0.5", "reservation_net_effective_cost": "0.45"}
UNUSED = {
    "reservation_unused_recurring_fee": "0.5",
    "reservation_net_unused_recurring_fee": "0.45",
    "reservation_net_unused_amortized_upfront_fee_for_billing_period": "0.09",
}


@pytest.mark.parametrize(
    ("line", "billed", "effective"),
    [
        (discounted("SavingsPlanCoveredUsage", "1.5", "1.35", **COVERED), "0", "0.81"),
        (discounted("SavingsPlanRecurringFee", "0.6", "0.54", **PLAN_HOUR), "0.54", "0.09"),
        (discounted("DiscountedUsage", "0", "0", **USED), "0", "0.45"),
        (discounted("RIFee", "1", "0.9", **UNUSED), "0.9", "0.54"),
        (discounted("EdpDiscount", "-0.16", "0"), "0", "0"),
    ],
)
def test_with_a_negotiated_discount_every_cost_is_a_net_one(line, billed, effective):
    row = one(**line)

    assert (row["billed_cost"], row["effective_cost"]) == (Decimal(billed), Decimal(effective))
    is_derived = line["line_item_line_item_type"] == "SavingsPlanRecurringFee"
    assert ("derived:effective_cost" in row["x_changes"]) is is_derived


@pytest.mark.parametrize(
    "kind",
    ["BundledDiscount", "EdpDiscount", "PrivateRateDiscount", "RiVolumeDiscount", "SppDiscount"],
)
def test_a_discount_counts_once_in_net_costs_or_as_its_own_line(kind):
    # given usage of 1.60 less a discount of 10%: once with net columns, empty on the line of the discount, and once
    # without any, as manual discount compatibility has them
    usage = discounted("Usage", "1.6", "1.44", pricing_public_on_demand_cost="1.6")
    lines = [usage, discounted("EdpDiscount", "-0.16", None, line_item_line_item_type=kind)]
    names = {one for one in LINE if "_net_" in one}
    gross = [{name: one[name] for name in one if name not in names} for one in lines]

    for given in (lines, gross):
        rows = mapped("aws_cur2", *given)
        for cost in ("billed_cost", "effective_cost", "contracted_cost"):
            assert sum(row[cost] for row in rows) == Decimal("1.44")
        assert sum(row["list_cost"] for row in rows) == Decimal("1.6")
        is_netted = given is lines
        assert ("netted:billed_cost" in rows[1]["x_changes"]) is is_netted


@pytest.mark.parametrize(
    ("given", "region"),
    [
        ({"product_region_code": "us-east-1", "product_region": "us-east-1"}, "us-east-1"),
        ({"product_region_code": None, "product_region": "us-west-2"}, "us-west-2"),
        ({"product_region_code": None, "product_region": "global"}, None),
        ({"product": '{"product_name": "Amazon S3", "region": "eu-west-1"}'}, "eu-west-1"),
        ({"product_region": "eu-west-3"}, "eu-west-3"),
        ({"product": '{"product_name": "Amazon S3", "region": ""}'}, None),
    ],
)
def test_the_region_of_a_line_that_has_no_region_code(given, region):
    row = one(**given)

    assert (row["region_id"], row["region_name"]) == (region, region)
    # and what was written stays, where it is not the region
    kept = row["x_other_columns"] or {}
    assert kept.get("x_product_region") == given.get("product_region")
