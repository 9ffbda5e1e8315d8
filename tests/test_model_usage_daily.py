"""usage/usage_daily and usage/restatement: exact sums of a day; what differs from before."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.tables import USAGE_DAILY
from tests.models import DAY, arrival, arrivals, daily, quantity, rows_of, run


def summed(*events, labels=("feature",)) -> list[dict]:
    rows = run("usage/usage_daily", {"usage_event": arrivals(events)}, daily_labels=list(labels))
    return sorted(rows, key=str)


def restated(old, new) -> list[dict]:
    given = {"published_daily": rows_of(USAGE_DAILY, old), "usage_daily": rows_of(USAGE_DAILY, new)}
    return sorted(run("usage/restatement", given, replaced=7, cause="late"), key=str)


def changes(old, new) -> list[tuple]:
    names = ("old_quantity", "new_quantity", "difference")
    return sorted(
        tuple(f"{row[name].normalize():f}" for name in names) for row in restated(old, new)
    )


def test_events_of_one_cell_are_summed_exactly():
    (row,) = summed(*(arrival(f"k{n}", "0.000000001") for n in range(3)), arrival("k9", 10**20))

    assert (
        row["quantity"] == row["weighted_quantity"] == quantity("100000000000000000000.000000003")
    )
    assert (row["events"], row["sampled_events"]) == (4, 0)
    assert (row["usage_date"], row["labels"]) == (DAY, {"feature": "core"})


def test_a_sampled_event_weighs_in_its_own_column_to_the_last_digit():
    digits = "12345678901234567890.123456789"
    (row,) = summed(arrival("a", digits, sample_weight=3), arrival("b", -1))

    assert row["quantity"] == quantity("12345678901234567889.123456789")
    assert row["weighted_quantity"] == quantity("37037036703703703669.370370367")
    assert (row["events"], row["sampled_events"]) == (2, 1)


def test_a_weight_of_two_is_already_sampled():
    (row,) = summed(arrival("a", sample_weight=2), arrival("b"))

    assert (row["weighted_quantity"], row["sampled_events"]) == (quantity("3"), 1)


@pytest.mark.parametrize(
    "other",
    [
        {"tenant_id": "O'Brien\n"},
        {"tenant_id": "T-1"},
        {"meter": "bytes"},
        {"unit": "Bytes"},
        {"sku_id": "s"},
        {"sku_id": ""},
        {"region_id": "r"},
        {"labels": {}},
        {"labels": {"feature": "more"}},
        {"usage_date": date(2026, 11, 19)},
    ],
)
def test_what_the_grain_names_is_summed_apart(other):
    assert [row["events"] for row in summed(arrival("a"), arrival("b", **other))] == [1, 1]


def test_labels_that_the_contract_does_not_keep_are_summed_over():
    events = [
        arrival("a", labels={"feature": "x", "status": "200"}),
        arrival("b", labels={"feature": "x", "status": "404"}),
    ]

    assert [row["labels"] for row in summed(*events)] == [{"feature": "x"}]
    assert [(row["labels"], row["events"]) for row in summed(*events, labels=())] == [({}, 2)]


def test_no_events_give_no_totals():
    assert summed() == []


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(-(10**18), 10**18)), min_size=1))
def test_nothing_is_lost_between_events_and_totals(parts):
    events = [arrival(str(n), q, tenant_id=t) for n, (t, q) in enumerate(parts)]
    rows = summed(*events)

    assert sum(row["quantity"] for row in rows) == sum(q for _, q in parts)
    assert sum(row["events"] for row in rows) == len(parts)


def test_equal_totals_are_no_restatement():
    rows = [
        daily(1),
        daily(2, sku_id="s", region_id="r"),
        daily(3, sku_id="s"),
        daily(4, labels={}),
        daily(5, labels={"a": "x", "b": "y"}, tenant_id="O'Brien\n"),
    ]

    assert restated(rows, list(reversed(rows))) == []


@pytest.mark.parametrize(
    "grain",
    [
        {},
        {"sku_id": "s"},
        {"region_id": "r"},
        {"labels": {}},
        {"labels": {"a": "x", "b": "y"}},
        {"tenant_id": "O'Brien\n"},
    ],
)
def test_a_changed_total_meets_its_old_one_also_where_the_grain_is_null(grain):
    assert changes([daily(5, **grain)], [daily(7, **grain)]) == [("5", "7", "2")]
    assert changes([daily(7, **grain)], [daily("6.5", **grain)]) == [("7", "6.5", "-0.5")]


def test_a_total_that_comes_or_goes_is_a_change_from_or_to_nothing():
    assert changes([], [daily(5)]) == [("0", "5", "5")]
    assert changes([daily(5)], []) == [("5", "0", "-5")]
    assert changes([daily(5)], [daily(5, sku_id="s")]) == [("0", "5", "5"), ("5", "0", "-5")]
    assert changes([daily(5)], [daily(5, labels={})]) == [("0", "5", "5"), ("5", "0", "-5")]


def test_a_row_of_a_restatement_names_its_cell_release_and_cause():
    (row,) = restated([daily(5, region_id="r")], [])

    assert (row["usage_date"], row["stream"], row["tenant_id"]) == (DAY, "app_usage", "t-1")
    assert (row["meter"], row["unit"], row["sku_id"]) == ("api_calls", "Requests", None)
    assert (row["region_id"], row["labels"]) == ("r", {"feature": "core"})
    assert (row["replaced"], row["cause"]) == (7, "late")


@pytest.mark.parametrize("field", [{"events": 2}, {"weighted_quantity": quantity("3")}])
def test_other_events_or_weights_behind_an_equal_total_are_a_change_of_zero(field):
    assert changes([daily(5)], [daily(5, **field)]) == [("5", "5", "0")]
