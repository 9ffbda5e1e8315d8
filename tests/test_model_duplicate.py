"""usage/rival_hash, rival, first_delivery, repeated_void and duplicate: who came first, what a repeat is called."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl import deduplicate, sql
from tests.models import (
    DAY,
    EVENING,
    NEXT,
    NOON,
    SETTINGS,
    arrival,
    arrivals,
    key_of,
    plain_engine,
    quantity,
    run,
    void,
)

LATER = EVENING + timedelta(hours=1)
EGRESS = {"meter": "bytes", "unit": "Bytes"}


def compared(own, foreign=(), at_once=deduplicate.MEASURES_AT_ONCE) -> dict[str, list[dict]]:
    """Every table of the comparison of this date's arrivals with each other and with those of other dates."""
    engine = plain_engine("rivals")
    engine.register("arrival", arrivals(list(own)))
    engine.register("foreign_arrival", arrivals(list(foreign)))
    deduplicate.compare_rivals(engine, at_once)
    return {
        name: sql.rows(engine, f"FROM {name} ORDER BY ALL")
        for name in ("every_rival", "duplicate_row")
    }


def repeated(own, foreign=(), far=(), reach=36) -> list[int]:
    """Lines of the voids that repeat an identity."""
    given = {"arrival": own, "foreign_arrival": foreign, "far_arrival": far}
    tables = {name: arrivals(list(rows)) for name, rows in given.items()}
    return sorted(row["raw_line"] for row in run("usage/repeated_void", tables, reach=reach))


def duplicates(own, foreign=()) -> list[dict]:
    rows = compared(own, foreign)["duplicate_row"]
    return sorted(rows, key=lambda row: (row["raw_line"], row["meter"]))


def classes(own, foreign=()) -> list[str]:
    return [row["class"] for row in duplicates(own, foreign)]


def again(quantity=1, **fields) -> dict:
    return arrival("k1", quantity, **{"raw_line": 2} | fields)


def test_each_model_of_the_comparison_has_its_grain():
    voids = [void("k1", raw_line=3), void("k2", raw_line=4)]
    own = [arrival("k1"), again(), again(30, **EGRESS), *voids, arrival("k3", raw_line=5)]
    engine = plain_engine("models")
    engine.register("arrival", arrivals(own))
    engine.register("foreign_arrival", arrivals([]))

    def made(name: str, model: str, **params: int) -> list[dict]:
        engine.register(name, sql.arrow(engine, model, **params))
        return sql.rows(engine, f"FROM {name} ORDER BY ALL")

    assert sorted(row["measures"] for row in made("rival_hash", "usage/rival_hash")) == [2, 3]
    rows = made("rival", "usage/rival", slices=100)
    assert sorted(row["raw_line"] for row in rows) == [1, 2, 2, 3, 4]
    assert len({(row["slice"], row["record_key"]) for row in rows}) == 2
    first = made("first_delivery", "usage/first_delivery")
    assert [(row["record_key"], row["raw_line"]) for row in first] == [
        (key_of("k1"), 1),
        (key_of("v1"), 3),
    ]
    lost = made("lost", "usage/duplicate")
    assert sorted((row["raw_line"], row["meter"]) for row in lost) == [
        (2, "api_calls"),
        (2, "bytes"),
        (4, "void"),
    ]


def test_a_record_that_was_delivered_once_has_no_rival():
    rows = [arrival("k1"), arrival("k1", **EGRESS), arrival("k2", raw_line=2)]

    assert not any(compared(rows).values())


def test_the_first_delivery_is_kept_then_object_then_line():
    own = [
        again(raw_line=1, delivered_at=LATER, raw_object_key="a"),
        again(raw_line=2, raw_object_key="b"),
        again(raw_line=9, raw_object_key="a"),
        again(raw_line=10, raw_object_key="a"),
    ]

    assert {row["kept_line"] for row in duplicates(own)} == {9}
    assert {row["kept_line"] for row in duplicates([*own[:2], own[3]])} == {10}
    assert [(row["raw_line"], row["kept_line"]) for row in duplicates(own[:2])] == [(1, 2)]


def test_a_rival_may_count_on_another_date_but_strangers_there_do_not_matter():
    foreign = [
        again(usage_date=NEXT, raw_object_key="o0"),
        arrival("k9", raw_line=3),
        arrival("k9", raw_line=4),
    ]
    found = compared([arrival("k1")], foreign)

    assert {row["record_key"] for row in found["every_rival"]} == {key_of("k1")}
    assert [row["kept_usage_date"] for row in found["duplicate_row"]] == [NEXT]


def test_memory_does_not_bound_how_many_repeats_a_day_may_hold(tmp_path):
    twice = "SELECT * REPLACE (sha256((n // 2)::VARCHAR) AS record_key, n AS raw_line) FROM one, range(150_000) t(n)"
    with sql.connect(replace(SETTINGS, memory="100MB", scratch=tmp_path)) as engine:
        engine.register("one", arrivals([arrival()]))
        engine.execute(f"CREATE TEMP VIEW arrival AS {twice}")
        engine.execute("CREATE TEMP VIEW foreign_arrival AS FROM arrival LIMIT 0")
        deduplicate.compare_rivals(engine, at_once=20_000)
        found = sql.rows(engine, "SELECT class, count(*) AS rows FROM duplicate_row GROUP BY ALL")

    assert found == [{"class": "re_delivery", "rows": 75_000}]


def test_a_void_that_repeats_an_identity_is_named_also_on_another_date():
    first = void("a", raw_line=1)
    later = [void("b", raw_line=2), void("b", raw_line=3, usage_date=NEXT)]

    assert repeated([first, *later]) == repeated([], [first, *later]) == [2, 3]
    assert repeated([first]) == []


@pytest.mark.parametrize(("days", "lines"), [(3, [2]), (4, [])])
@pytest.mark.parametrize("place", ["foreign", "far"])
def test_a_void_repeats_what_was_first_within_its_own_reach(place, days, lines):
    claim = arrival("v1", usage_date=DAY - timedelta(days=days))
    later = void("a", usage_date=DAY, delivered_at=LATER, raw_line=2)
    rows = (
        {"foreign": [claim, later]} if place == "foreign" else {"foreign": [later], "far": [claim]}
    )

    assert repeated([], **rows, reach=3) == lines


def test_compared_in_slices_the_same_repeats_are_found():
    own = [arrival(f"k{n % 9}", n // 18, raw_line=n) for n in range(36)]
    whole, sliced = compared(own), compared(own, at_once=7)

    assert len({row["slice"] for row in sliced["every_rival"]}) > 1
    assert len(whole["duplicate_row"]) == 27
    assert sliced["duplicate_row"] == whole["duplicate_row"]


def test_a_delivery_whose_measures_count_on_two_dates_is_no_repeat():
    own, foreign = [arrival("k1")], [arrival("k1", usage_date=NEXT, **EGRESS)]

    assert duplicates(own, foreign) + duplicates(foreign, own) == []


def test_a_repeat_whose_measures_count_on_two_dates_is_the_same_record():
    own, foreign = [arrival("k1"), again()], [arrival("k1", usage_date=NEXT, **EGRESS)]
    foreign += [again(30, usage_date=NEXT, **EGRESS)]
    foreign[0]["quantity"] = foreign[1]["quantity"]

    assert classes(own, foreign) == ["re_delivery"]
    # and one that differs in one of them is a conflict on both
    foreign[0]["quantity"] = quantity("29")
    assert classes(own, foreign) == classes(foreign, own) == ["conflict"]


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
