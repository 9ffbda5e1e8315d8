"""Each rule of the suites of bills finds what it is there for; what official validators do not look at is here."""

import pytest

from etl import settings, sql, validate
from etl.billing import contract as billing_contract
from etl.billing.tables import CHARGE, CHARGE_DAILY
from etl.columns import Table
from etl.settings import ROOT
from tests.conftest import Lake
from tests.suites import SHORT, TWICE, broken, stage, suite, violations

OBJECT = "billing/aws/focus/e/billing_period=2026-10/one.csv"
LINE = {
    "billed_cost": "2.50",
    "billing_account_id": "0123",
    "billing_currency": "USD",
    "billing_period_start": "2026-10-01 00:00:00",
    "billing_period_end": "2026-11-01 00:00:00",
    "charge_category": "Usage",
    "charge_frequency": "Usage-Based",
    "charge_period_start": "2026-10-02 00:00:00",
    "charge_period_end": "2026-10-03 00:00:00",
    "commitment_discount_category": "Spend",
    "commitment_discount_id": "plan",
    "commitment_discount_name": "the plan",
    "commitment_discount_status": "Used",
    "commitment_discount_type": "Savings Plan",
    "consumed_quantity": "10",
    "consumed_unit": "Hours",
    "contracted_cost": "3",
    "contracted_unit_price": "0.3",
    "effective_cost": "2.50",
    "invoice_issuer_name": "AWS",
    "list_cost": "4",
    "list_unit_price": "0.4",
    "pricing_category": "Committed",
    "pricing_quantity": "10",
    "pricing_unit": "Hours",
    "provider_name": "AWS",
    "publisher_name": "AWS",
    "region_id": "eu-west-1",
    "region_name": "Ireland",
    "resource_id": "i-1",
    "resource_name": "one",
    "resource_type": "Instance",
    "service_category": "Compute",
    "service_name": "Amazon EC2",
    "sku_id": "sku",
    "sku_price_details": "{}",
    "sku_price_id": "price",
    "sub_account_id": "0456",
    "sub_account_name": "staging",
    "sub_account_type": "Account",
    "tags": '{"team": "a"}',
    "service_provider_name": "AWS",
    "host_provider_name": "AWS",
    "x_row_key": "line 1",
    "x_source_cost": "2.50",
    "x_changes": {},
    "x_object_key": OBJECT,
    "x_row": 1,
    "x_provider": "aws",
    "x_billing_period": "2026-10",
    "x_stream": "aws_focus",
    "x_schema_version": "1.0.0",
    "x_delivery": "0123456789abcdef",
}
DAY = {
    "provider": "aws",
    "billing_period": "2026-10",
    "stream": "aws_focus",
    "charge_date": "2026-10-02",
    "charges": 1,
}
DAY |= {name: LINE[name] for name in CHARGE_DAILY.sql_columns if name in LINE}
PARTITION = {
    CHARGE: "x_provider=aws/x_billing_period=2026-10/x_stream=aws_focus/x_delivery=0123456789abcdef",
    CHARGE_DAILY: "provider=aws/billing_period=2026-10/stream=aws_focus",
}
GOOD = {CHARGE: LINE, CHARGE_DAILY: DAY}
HUGE = f"{'9' * 20}.{'9' * 18}"
CURRENCY = [{"billing_currency": one} for one in ("usd", "US", "USDT", "U$D", "Ä€Z")]
MIXED = [[{}, {"billing_currency": "EUR", "x_row": 2, "service_name": "Amazon S3"}]]
CASES: dict[Table, dict[str, list]] = {
    CHARGE: {
        "column_types": [SHORT],
        "required_missing": [{c.name: None} for c in CHARGE.columns if not c.nullable]
        + [{"billing_account_id": ""}, {"service_name": ""}, {"provider_name": ""}],
        "kind_not_allowed": [{"charge_category": "usage"}, {"charge_class": "Corrected"}],
        "currency_malformed": CURRENCY,
        "currency_mixed": MIXED,
        "period_malformed": [
            {"billing_period_start": "2026-10-01 00:00:01"},
            {"billing_period_start": "2026-09-01 00:00:00"},
            {"billing_period_end": "2026-10-31 00:00:00"},
            {"charge_period_end": "2026-10-01 23:59:59"},
        ],
        "wrong_partition": [
            {"x_provider": "azure"},
            {"x_billing_period": "2026-09"},
            {"x_stream": "aws_cur"},
            {"x_delivery": "f" * 16},
            {"billing_period_start": "2026-09-01 00:00:00"},
        ],
        "row_not_unique": [TWICE, {"x_row": 0}],
        "json_malformed": [
            {"tags": '["team"]'},
            {"tags": '{"team": a}'},
            {"tags": ""},
            {"sku_price_details": "1"},
        ],
        "word_not_allowed": [
            {"charge_frequency": "Usage-based"},
            {"pricing_category": "Flexible"},
            {"service_category": "Computing"},
            {"commitment_discount_category": "spend"},
            {"commitment_discount_status": "used"},
            {"capacity_reservation_status": "used"},
        ],
        "list_cost_differs": [
            {"list_cost": "4.00000001"},
            {"pricing_quantity": "9"},
            {"list_cost": "4.000000004000000005"},  # one unit of the last place beyond nine digits
            {"list_cost": "0.500000001000000001", "list_unit_price": "0.05"},
            {"list_cost": "1000.000001000000002", "list_unit_price": "100"},
            {"list_cost": "1000000001000.000001000000001001", "list_unit_price": "100000000000"},
            {"list_cost": HUGE, "list_unit_price": HUGE, "pricing_quantity": HUGE},
            {"list_unit_price": f"-{HUGE}", "pricing_quantity": HUGE},
        ],
        "contracted_cost_differs": [{"contracted_cost": "2.9"}, {"contracted_unit_price": "0"}],
        "name_without_id": [
            {name: None}
            for name in (
                *("sub_account_id", "sub_account_name", "region_id", "region_name"),
                *("commitment_discount_id", "resource_id"),
            )
        ]
        + [{"sub_account_id": None, "sub_account_name": None}],
        "commitment_incomplete": [
            {f"commitment_discount_{name}": None} for name in ("id", "category", "type", "status")
        ]
        + [{"charge_category": "Purchase"}, {"capacity_reservation_status": "Used"}],
        "quantity_without_unit": [
            {name: None}
            for name in ("pricing_quantity", "pricing_unit", "consumed_quantity", "consumed_unit")
        ]
        + [{"commitment_discount_quantity": "1"}, {"charge_category": "Purchase"}],
        "tax_with_sku": [{"charge_category": "Tax"}],
        "charge_period_empty": [{"charge_period_end": LINE["charge_period_start"]}],
        "charge_period_far": [
            {"charge_period_start": "2025-09-30 23:59:59"},
            {"charge_period_start": LINE["billing_period_end"]},
            {"charge_period_end": "2031-11-01 00:00:01"},
        ],
        "row_key_repeated": [[{}, {"x_row": 2}]],
    },
    CHARGE_DAILY: {
        "column_types": [SHORT],
        "required_missing": [{c.name: None} for c in CHARGE_DAILY.columns if not c.nullable]
        + [{"billing_account_id": ""}],
        "grain_not_unique": [TWICE],
        "wrong_partition": [
            {"provider": "azure"},
            {"billing_period": "2026-09"},
            {"stream": "aws_cur"},
        ],
        "kind_not_allowed": [{"charge_category": "usage"}],
        "currency_malformed": CURRENCY,
        "currency_mixed": MIXED,
        "charges_out_of_range": [{"charges": 0}],
        "charge_date_far": [{"charge_date": "2025-09-30"}, {"charge_date": "2026-11-01"}],
    },
}
WARNINGS = {
    "word_not_allowed",
    "list_cost_differs",
    "contracted_cost_differs",
    "name_without_id",
    "commitment_incomplete",
    "quantity_without_unit",
    "tax_with_sku",
    "charge_period_empty",
    "charge_period_far",
    "row_key_repeated",
    "charge_date_far",
}
TABLES = pytest.mark.parametrize("table", CASES, ids=lambda one: one.name)
FINE = [
    {"list_cost": "4.0000000001"},  # the last digit of a provider's double
    {"list_cost": "4.000000004000000004"},
    {"list_cost": "0.500000001", "list_unit_price": "0.05"},
    {"list_cost": "1000.000001000000001", "list_unit_price": "100"},
    {"list_cost": "1000000001000.000001000000001", "list_unit_price": "100000000000"},
    {"list_cost": "99999999999999999990", "list_unit_price": "9999999999999999999"},
    {"list_cost": "-4", "list_unit_price": "-0.4"},
    {"list_cost": "9", "contracted_cost": "9", "charge_class": "Correction"},
    {"billed_cost": "-2.50"},  # a refund
    {"list_unit_price": None, "contracted_unit_price": None, "tags": None, "x_row_key": None},
    {"charge_period_start": "2026-09-30 23:00:00", "charge_period_end": "2026-10-01 00:00:00"},
]


@TABLES
def test_every_rule_is_tested_and_a_good_table_breaks_none(engine, table):
    bind(engine, table, [GOOD[table]])

    rules = suite(table.name)

    assert rules.keys() == CASES[table].keys()
    assert violations(engine, [*rules.values()]) == dict.fromkeys(rules, 0)


@TABLES
def test_only_what_makes_a_bill_wrong_holds_it_back(table):
    rules = suite(table.name)

    assert {one for one in rules if rules[one]["severity"] == "warning"} == WARNINGS & rules.keys()
    for one in rules.values():
        assert one["kwargs"]["min_value"] == one["kwargs"]["max_value"] == 0
        assert one["meta"]["says"].endswith(".")
        assert ("bad_rows" in one["meta"]) != ("count" in one["meta"])


@pytest.mark.parametrize(
    ("table", "rule", "bad"),
    [(table, rule, bad) for table in CASES for rule, bads in CASES[table].items() for bad in bads],
    ids=lambda one: getattr(one, "name", None) or str(one)[:40],
)
def test_a_table_that_breaks_a_rule_is_found_by_it(engine, table, rule, bad):
    good = GOOD[table]
    rows = [good | one for one in bad] if isinstance(bad, list) else broken(good, bad)
    bind(engine, table, rows, "billed_cost" if bad == SHORT else None)

    assert violations(engine, [suite(table.name)[rule]])[rule] > 0


@pytest.mark.parametrize("fine", FINE, ids=str)
def test_what_providers_may_do_breaks_no_rule(engine, fine):
    bind(engine, CHARGE, [LINE | fine])

    rules = suite("charge")

    assert violations(engine, [*rules.values()]) == dict.fromkeys(rules, 0)


@pytest.fixture(scope="module")
def engine(object_store):
    """A table without files asks nothing of the lake, so no lake is given."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        Lake(object_store, "expectations-charge", monkeypatch)
        with sql.connect(settings.from_environment()) as connection:
            yield connection


def bind(engine, table, rows: list[dict], without: str | None = None) -> None:
    contract = billing_contract.load(ROOT / "contracts", "aws_focus")
    stage(engine, validate.charges(table, contract, PARTITION[table], {"files": []}), rows, without)
