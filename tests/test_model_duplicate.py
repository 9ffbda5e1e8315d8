"""usage/arrival_rival and usage/duplicate: who was delivered first, and what a repeat is called."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import (
    DAY,
    EVENING,
    NEXT,
    NOON,
    RIVAL,
    arrival,
    arrivals,
    key_of,
    quantity,
    rows_like,
    run,
)

LATER = EVENING + timedelta(hours=1)
EGRESS = {"meter": "bytes", "unit": "Bytes"}


def rivals(own, foreign=()) -> list[dict]:
    given = {"arrival": arrivals(list(own)), "foreign_arrival": arrivals(list(foreign))}
    rows = run("usage/arrival_rival", given)
    return sorted(rows, key=lambda row: (row["record_key"], row["nth"]))


def lines(rows) -> list[tuple[int, int]]:
    return [(row["raw_line"], row["nth"]) for row in rows]


def duplicates(own, foreign=()) -> list[dict]:
    given = {
        "arrival": arrivals(list(own)),
        "foreign_arrival": arrivals(list(foreign)),
        "rival": rows_like(RIVAL, rivals(own, foreign)),
    }
    return sorted(run("usage/duplicate", given), key=lambda row: (row["raw_line"], row["meter"]))


def classes(own, foreign=()) -> list[str]:
    return [row["class"] for row in duplicates(own, foreign)]


def again(quantity=1, **fields) -> dict:
    return arrival("k1", quantity, **{"raw_line": 2} | fields)


def test_a_record_that_was_delivered_once_has_no_rival():
    assert rivals([arrival("k1"), arrival("k1", **EGRESS), arrival("k2", raw_line=2)]) == []


def test_the_first_delivery_is_first_then_object_then_line():
    own = [
        again(raw_line=1, delivered_at=LATER, raw_object_key="a"),
        again(raw_line=2, raw_object_key="b"),
        again(raw_line=9, raw_object_key="a"),
        again(raw_line=10, raw_object_key="a"),
    ]

    assert lines(rivals(own)) == [(9, 1), (10, 2), (2, 3), (1, 4)]


def test_a_rival_may_count_on_another_date_but_strangers_there_do_not_matter():
    foreign = [
        again(usage_date=NEXT, raw_object_key="o0"),
        arrival("k9", raw_line=3),
        arrival("k9", raw_line=4),
    ]
    found = rivals([arrival("k1")], foreign)

    assert [(row["usage_date"], row["nth"]) for row in found] == [(NEXT, 1), (DAY, 2)]


def test_a_delivery_whose_measures_count_on_two_dates_is_no_repeat():
    own, foreign = [arrival("k1")], [arrival("k1", usage_date=NEXT, **EGRESS)]

    assert duplicates(own, foreign) + duplicates(foreign, own) == []


@pytest.mark.parametrize("same", [{}, {"tenant_id": 'O\'Brien\n"x"'}, {"labels": {}}])
def test_the_same_record_again_is_a_re_delivery(same):
    assert classes([arrival("k1", **same), again(**same)]) == ["re_delivery"]


@pytest.mark.parametrize(
    "other",
    [
        {"quantity": 2},
        {"quantity": "1.000000001"},
        {"tenant_id": "t-2"},
        {"attribution": "label"},
        {"billing_account_id": "b"},
        {"sub_account_id": "s"},
        {"principal_hash": "p"},
        {"service_name": "s"},
        {"resource_id": "r"},
        {"resource_type": "r"},
        {"region_id": "r"},
        {"sample_weight": 2},
        {"unit": "Calls"},
        {"record_kind": "adjust"},
        {"corrects": "k7"},
        {"labels": {}},
        {"labels": {"feature": "other"}},
        {"labels": {"feature": "core", "more": "x"}},
    ],
)
def test_another_payload_is_a_conflict_in_either_direction(other):
    there = [arrival("k1"), again(**other)]
    back = [arrival("k2", raw_line=3, **other), arrival("k2", raw_line=4)]

    assert classes(there + back) == ["conflict", "conflict"]


@pytest.mark.parametrize("other", [{"trace_id": "0" * 32}, {"delivered_at": LATER}])
def test_how_it_travelled_is_not_its_payload(other):
    assert classes([arrival("k1"), again(**other)]) == ["re_delivery"]


def test_another_time_alone_is_a_retry_with_a_new_stamp():
    late = NOON + timedelta(seconds=1)

    assert classes([arrival("k1"), again(period_start=late, period_end=late)]) == ["re_stamped"]
    assert classes([arrival("k1"), again(2, period_start=late)]) == ["conflict"]


def test_a_repeat_names_what_was_kept_on_another_date():
    kept = arrival("k1", 7, usage_date=NEXT, raw_object_key="o0", raw_line=5)
    (row,) = duplicates([again(3)], [kept])

    assert (row["class"], row["usage_date"], row["kept_usage_date"]) == ("conflict", DAY, NEXT)
    assert (row["quantity"], row["kept_quantity"]) == (quantity("3"), quantity("7"))
    assert (row["kept_object_key"], row["kept_line"]) == ("o0", 5)


def test_the_kept_record_of_this_date_stays_though_another_date_repeats_it():
    assert duplicates([arrival("k1")], [again(usage_date=NEXT)]) == []


def test_every_repeat_refers_to_the_first_delivery():
    rows = duplicates([arrival("k1", 1), again(2), again(2, raw_line=3)])

    assert [(row["class"], row["kept_line"]) for row in rows] == [("conflict", 1)] * 2


def test_a_measure_that_the_kept_record_lacks_is_a_conflict():
    rows = duplicates([arrival("k1"), again(), again(30, **EGRESS)])

    assert [(row["meter"], row["class"], row["kept_quantity"]) for row in rows] == [
        ("api_calls", "conflict", quantity("1")),
        ("bytes", "conflict", None),
    ]


def test_a_measure_that_the_repeat_lacks_is_a_conflict():
    assert classes([arrival("k1"), arrival("k1", 30, **EGRESS), again()]) == ["conflict"]


@settings(max_examples=5, deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=3, max_size=8), st.randoms())
def test_of_every_identity_exactly_one_delivery_is_kept_in_any_order(names, random):
    own = [arrival(name, n, raw_line=n) for n, name in enumerate(names, 1)]
    lost = duplicates(own)

    assert duplicates(random.sample(own, len(own))) == lost
    assert len(own) - len(lost) == len(set(names))
    assert {row["kept_line"] for row in lost}.isdisjoint(row["raw_line"] for row in lost)
    assert {row["record_key"] for row in lost} <= {key_of(name) for name in names}
