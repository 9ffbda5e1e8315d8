"""view/focus_1_2, view/charge_tag, view/sub_account and the use cases of FOCUS that run on them."""

from datetime import datetime
from decimal import Decimal

import pytest

from etl import sql
from tests.models import plain_engine
from tests.test_model_charge import charge, charges

START, END = datetime(2026, 10, 1), datetime(2026, 11, 1)
PLAN = {"commitment_discount_id": "plan", "commitment_discount_type": "Savings Plan"}
LINES = [
    charge("5", service_name="Compute", tags='{"team": "a", "env": "prod"}', list_cost=Decimal(8))
    | {"sub_account_id": "s1", "sub_account_name": "old", "region_id": "r1", "resource_id": "vm"}
    | {"sku_id": "K", "consumed_quantity": Decimal(2), "consumed_unit": "Hrs"},
    charge("1", service_name="Compute", tags='{"team": "b", "team": "c"}', region_id="r2")
    | {"sub_account_id": "s1", "sub_account_name": "new"}
    | {"charge_period_start": datetime(2026, 10, 9), "charge_class": "Correction"},
    charge("3", service_name="Storage", commitment_discount_status="Used", **PLAN),
    charge("2", service_name="Storage", charge_category="Purchase", **PLAN)
    | {"charge_frequency": "Recurring", "charge_description": "a plan"},
    charge("7", charge_category="Tax", invoice_id="i1", service_name="Tax"),
    charge("9", charge_period_start=END, billing_period_start=END, service_name="Later"),
]


@pytest.fixture
def engine():
    """The views over literal charges."""
    found = plain_engine()
    found.register("charge", charges(*LINES))
    names = ("focus_1_2", "charge_tag", "sub_account")
    for name, model in zip(
        names, ("view/focus_1_2", "view/charge_tag", "view/sub_account"), strict=True
    ):
        sql.view(found, name, model)
    yield found
    for name in names:
        found.execute(f"DROP VIEW {name}")
    found.unregister("charge")


def asked(engine, model: str, *columns: str, **params) -> list[tuple]:
    rows = sql.rows(engine, sql.model(model), {"start": START, "end": END} | params)
    return [tuple(plainly(row[name]) for name in columns) for row in rows]


def plainly(value: object) -> object:
    return int(value) if isinstance(value, Decimal) and value == int(value) else value


@pytest.mark.parametrize(
    ("model", "columns", "expected"),
    [
        (
            "report/focus_service",
            ("ServiceName", "ListCost", "BilledCost"),
            [("Tax", 7, 7), ("Compute", 9, 6), ("Storage", 5, 5)],
        ),
        (
            "report/focus_sub_account",
            ("SubAccountId", "SubAccountName", "BilledCost"),
            [(None, None, 12), ("s1", "new", 6)],
        ),
        (
            "report/focus_region",
            ("RegionId", "ServiceName", "EffectiveCost"),
            [(None, "Tax", 7), ("r1", "Compute", 5), (None, "Storage", 5), ("r2", "Compute", 1)],
        ),
        (
            "report/focus_commitment",
            ("CommitmentDiscountId", "UsedCost", "UnusedCost"),
            [("plan", 3, 2)],
        ),
        ("report/focus_saving", ("ServiceName", "Saved"), [("Compute", 3), ("Storage", -2)]),
        (
            "report/focus_invoice",
            ("InvoiceId", "ChargeCategory", "BilledCost"),
            [("i1", "Tax", 7), (None, "Purchase", 2), (None, "Usage", 9)],
        ),
        (
            "report/focus_correction",
            ("ServiceName", "BilledCost", "Corrections"),
            [("Compute", 1, 1)],
        ),
        ("report/focus_recurring", ("ChargeDescription", "BilledCost"), [("a plan", 2)]),
        ("report/focus_resource", ("ResourceId", "SkuId", "EffectiveCost"), [("vm", "K", 5)]),
        (
            "report/focus_month",
            ("ServiceName", "ConsumedQuantity", "EffectiveCost"),
            [("Compute", 2, 5), ("Compute", None, 1), ("Storage", None, 3)],
        ),
    ],
)
def test_use_cases_of_focus(engine, model, columns, expected):
    assert asked(engine, model, *columns) == expected


def test_what_is_unused_of_a_commitment_is_no_tax_and_no_credit_on_it(engine):
    tax = charge("4", charge_category="Tax", **PLAN)
    credit = charge("-6", charge_category="Credit", **PLAN)
    engine.register("charge", charges(*LINES, tax, credit))

    found = asked(engine, "report/focus_commitment", "UsedCost", "UnusedCost")

    assert found == [(3, 2)]


def test_what_nobody_used_of_a_commitment_would_have_cost_nothing_at_the_list_price(engine):
    of = {"service_name": "Storage", "list_cost": Decimal(6)}
    unused = charge("4", commitment_discount_status="Unused", **of, **PLAN)
    engine.register("charge", charges(*LINES, unused))

    saved = asked(engine, "report/focus_saving", "ServiceName", "ListCost", "EffectiveCost")

    assert saved == [("Compute", 9, 6), ("Storage", 3, 9)]


@pytest.mark.parametrize("report", ["service", "month"])
def test_services_of_one_name_are_told_apart_by_who_sells_them(engine, report):
    given = [charge(cost, provider_name=name) for cost, name in (("5", "AWS"), ("3", "Oracle"))]
    engine.register("charge", charges(*given))

    found = asked(engine, f"report/focus_{report}", "ProviderName", "EffectiveCost")

    assert sorted(found) == [("AWS", 5), ("Oracle", 3)]


def test_byte_seconds_of_a_month_are_summed(engine):
    of = {"consumed_unit": "byte-seconds", "service_name": "Cloud Storage"}
    stored = charge("1", consumed_quantity=Decimal(10) ** 20 - 1, **of)
    engine.register("charge", charges(stored, stored, stored))

    (row,) = asked(engine, "report/focus_month", "ServiceName", "ConsumedQuantity")
    assert row == ("Cloud Storage", 3 * 10**20 - 3)


def test_a_discount_that_is_a_line_of_its_own_is_saved_and_a_refund_is_not(engine):
    of = {"charge_category": "Adjustment", "service_name": "Compute"}
    discount = charge("-2", list_cost=Decimal(0), **of)
    refund = charge("-4", list_cost=Decimal(-4), charge_class="Correction", **of)
    engine.register("charge", charges(*LINES, discount, refund))

    saved = asked(engine, "report/focus_saving", "ServiceName", "ListCost", "Saved")

    assert saved == [("Compute", 9, 5), ("Storage", 3, -2)]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("team", [(None, 12), ("a", 5), ("b", 1)]),
        ("env", [(None, 13), ("prod", 5)]),
        *((odd, [(None, 18)]) for odd in ('a "quoted" name', "*", "$.team", "")),
    ],
)
def test_costs_by_a_tag_keep_what_has_none(engine, tag, expected):
    assert asked(engine, "report/focus_tag", "TagValue", "EffectiveCost", tag=tag) == expected


def test_tags_and_sub_accounts_are_found_without_unnesting(engine):
    tags = sql.rows(
        engine, "SELECT tag_value, billed_cost FROM charge_tag WHERE tag_key = 'team' ORDER BY 1"
    )
    assert [(row["tag_value"], int(row["billed_cost"])) for row in tags] == [("a", 5), ("b", 1)]

    (account,) = sql.rows(engine, "FROM sub_account")
    assert (account["sub_account_id"], account["sub_account_name"], account["charges"]) == (
        "s1",
        "new",
        2,
    )


def test_the_view_has_the_names_of_focus(engine):
    names = {row["column_name"] for row in sql.rows(engine, "DESCRIBE focus_1_2")}

    assert {"BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "SkuPriceDetails"} <= names
    assert len([name for name in names if not name.startswith("x_")]) == 57
