"""sql/charge: charge/charge_daily, charge/charge_control, charge/charge_restatement, charge/charge_source."""

from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from etl.billing.tables import CHARGE, CHARGE_DAILY, CHARGE_RESTATEMENT, DELIVERY
from tests.models import rows_of, run

START = datetime(2026, 10, 2)
COSTS = ("list_cost", "contracted_cost", "billed_cost", "effective_cost")


def charge(billed: str = "1", **values) -> dict:
    """One line of a bill; all four costs are `billed` unless they are given."""
    base = {column.name: None for column in CHARGE.columns}
    base |= {column.name: "x" for column in CHARGE.columns if not column.nullable}
    base |= {
        **dict.fromkeys(COSTS, Decimal(billed)),
        "billing_currency": "USD",
        "billing_period_start": datetime(2026, 10, 1),
        "billing_period_end": datetime(2026, 11, 1),
        "charge_category": "Usage",
        "charge_period_start": START,
        "charge_period_end": datetime(2026, 10, 3),
        "x_charge_type": "Usage",
        "x_source_cost": Decimal(billed),
        "x_changes": [],
        "x_row": 1,
        "x_billing_period": "2026-10",
    }
    return base | values


def charges(*rows: dict) -> pa.Table:
    return rows_of(CHARGE, list(rows))


def daily(*rows: dict) -> list[dict]:
    return run("charge/charge_daily", {"charge": charges(*rows)})


def restated(old: list[dict], new: list[dict]) -> list[dict]:
    given = {"charge": charges(*new), "published_charge": charges(*old)}
    return run(
        "charge/charge_restatement",
        given,
        stream="aws_focus",
        replaced=3,
        closed=0,
        cause="delivery d2",
    )


def test_lines_of_one_day_and_product_are_summed_exactly():
    tiny, most = "0.000000000000000001", "12345678901234567.1"
    (row,) = daily(charge(tiny), charge(most, list_cost=Decimal(2)), charge("-1"))

    assert row["billed_cost"] == Decimal("12345678901234566.100000000000000001")
    assert row["list_cost"] == Decimal(tiny) + 2 - 1
    assert (row["charges"], row["charge_date"]) == (3, START.date())


@pytest.mark.parametrize(
    "other",
    [
        {"billing_account_id": "y"},
        {"sub_account_id": "y"},
        {"service_name": "y"},
        {"sku_id": "y"},
        {"region_id": "y"},
        {"charge_category": "Tax"},
        {"billing_currency": "EUR"},
        {"charge_period_start": datetime(2026, 10, 2, 23, 59, 59)} | {"sku_id": "z"},
    ],
    ids=str,
)
def test_what_differs_in_a_dimension_is_not_summed(other):
    assert len(daily(charge(), charge(**other))) == 2


def test_control_totals_are_those_of_the_text_before_rounding():
    text = "1.0000000000000000015"
    rounded = charge(
        "1.000000000000000002", x_changes=[("rounded:cost", text)], x_source_credits=Decimal(-1)
    )
    (row,) = run("charge/charge_control", {"charge": charges(rounded, charge())}, cost="cost")

    assert row["source_cost"] + row["source_rest"] == Decimal(text) + 1
    assert (row["rows"], row["source_credits"]) == (2, Decimal(-1))


def test_sums_of_the_text_are_by_the_provider_s_own_kind_of_line():
    rows = pa.table(
        {
            "billing_period_start": pa.array([datetime(2026, 10, 1)] * 3, pa.timestamp("us")),
            "is_mirror": [False] * 3,
            "control_cost": pa.array([Decimal(1), Decimal(2), None], pa.decimal128(38, 18)),
            "control_cost_text": ["1", "2", None],
            "control_category": ["Usage", "Usage", "Tax"],
            "control_currency": ["USD", None, "USD"],  # one is filled by its mapping
            "billing_currency": ["USD"] * 3,
            "control_credits": ['[{"amount": -0.25}, {"amount": "-1e-3"}]', None, None],
        }
    )
    found = run("charge/charge_source", {"charge_row": rows})

    by_category = {row["category"]: row for row in found}
    assert by_category["Usage"]["cost"] == Decimal(3)
    assert by_category["Usage"]["credits"] == Decimal("-0.251")
    assert (by_category["Tax"]["rows"], by_category["Tax"]["cost"]) == (1, None)


def test_what_moved_is_told_by_account_service_and_day():
    old = [charge("1", x_row_key="a"), charge("2", x_row_key="b"), charge("7", x_row_key="same")]
    new = [charge("1.5", x_row_key="a"), charge("9", x_row_key="c"), charge("7", x_row_key="same")]
    (row,) = restated(old, new)

    assert (row["old_billed_cost"], row["new_billed_cost"]) == (Decimal(10), Decimal("17.5"))
    assert row["billed_difference"] == row["effective_difference"] == Decimal("7.5")
    assert (row["rows_added"], row["rows_removed"], row["rows_changed"]) == (1, 1, 1)
    assert (row["replaced"], row["cause"]) == (3, "delivery d2")


@pytest.mark.parametrize("cost", ["list_cost", "contracted_cost"])
@pytest.mark.parametrize(("key", "changed"), [("a", 1), (None, 0)])
def test_a_month_whose_list_or_contracted_cost_alone_moved_is_told(cost, key, changed):
    old, new = (charge("1", x_row_key=key, **{cost: Decimal(one)}) for one in ("2", "2.5"))
    (row,) = restated([old], [new])

    name = cost.removesuffix("_cost")
    assert (row[f"old_{cost}"], row[f"new_{cost}"]) == (2, Decimal("2.5"))
    assert (row[f"{name}_difference"], row["billed_difference"]) == (Decimal("0.5"), 0)
    assert (row["rows_added"], row["rows_removed"], row["rows_changed"]) == (0, 0, changed)


def test_a_day_that_is_gone_and_a_day_that_is_new_are_both_told():
    old, new = charge("1"), charge("2", charge_period_start=datetime(2026, 10, 5))
    found = restated([old], [new])

    assert sorted((r["charge_date"].day, r["billed_difference"]) for r in found) == [
        (2, -1),
        (5, 2),
    ]


@pytest.mark.parametrize("keys", [(None, None), ("a", "a")])
def test_a_month_that_is_the_same_tells_nothing(keys):
    old, new = (
        {"x_delivery": name, "x_row_key": key} for name, key in zip("ab", keys, strict=True)
    )

    assert restated([charge(**old)], [charge(**new)]) == []


@pytest.mark.parametrize("key", ["x", None])
def test_lines_that_came_under_other_keys_are_neither_new_nor_gone(key):
    old = [charge("1", x_row_key="a"), charge("1", x_row_key="b"), charge("2", x_row_key="c")]
    new = [charge("1", x_row_key="d"), charge("1", x_row_key="e"), charge("2", x_row_key="f")]
    same = charge("9", x_row_key=key)
    assert restated([*old, same], [*new, same]) == []

    # but for those whose costs are others
    more = [charge("2", x_row_key="g"), charge("3", x_row_key="h")]
    (row,) = restated([*old, same], [*new[1:], same, *more])
    assert (row["rows_added"], row["rows_removed"], row["rows_changed"]) == (2, 1, 0)
    assert row["billed_difference"] == 4


def test_a_month_by_service_with_what_moved_last():
    def moved(replaced: int, difference: int, service: str = "s") -> dict:
        base = {column.name: None for column in CHARGE_RESTATEMENT.columns}
        return base | {
            **{c.name: Decimal(0) for c in CHARGE_RESTATEMENT.columns if c.type == "amount"},
            **{c.name: 0 for c in CHARGE_RESTATEMENT.columns if c.type == "bigint"},
            **{
                "provider": "x",
                "billing_period": "2026-10",
                "stream": "x",
                "service_name": service,
            },
            **{"billing_account_id": "x", "billing_currency": "USD", "charge_date": START.date()},
            **{"replaced": replaced, "billed_difference": Decimal(difference), "cause": "d"},
        }

    days = daily(charge("2", service_name="s"), charge("3", service_name="s", sku_id="k"))
    given = {
        "charge_daily": rows_of(CHARGE_DAILY, days),
        "delivery": rows_of(DELIVERY, []),
        "charge_restatement": rows_of(
            CHARGE_RESTATEMENT, [moved(1, 9), moved(4, 1), moved(4, -3), moved(4, -7, "went")]
        ),
    }
    row, went = run("report/bill_month", given, period="2026-10")

    assert (went["service_name"], went["billed_cost"], went["moved"]) == ("went", 0, Decimal(-7))
    assert (row["billed_cost"], row["charges"], row["moved"]) == (Decimal(5), 2, Decimal(-2))
    assert run("report/bill_month", given, period="2026-11") == []
