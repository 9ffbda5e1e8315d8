"""usage/foreign_date, touched_date, far_void, far_date, claimed_void: which other dates matter, by the index."""

from datetime import date, timedelta

import pytest

from etl.tables import USAGE_KEY
from tests.models import DAY, EVENING, NEXT, rows_like, rows_of, run, usage_key

OTHER, FAR = date(2026, 11, 10), date(2026, 11, 11)
LATER = EVENING + timedelta(hours=1)


def foreign(own, other) -> list:
    given = {"own_key": rows_of(USAGE_KEY, own), "other_key": rows_of(USAGE_KEY, other)}
    return [(row["usage_date"], row["landed_date"]) for row in run("usage/foreign_date", given)]


def touched(old, new, live) -> list[date]:
    given = {
        "old_key": rows_of(USAGE_KEY, old),
        "new_key": rows_of(USAGE_KEY, new),
        "live_key": rows_of(USAGE_KEY, live),
    }
    return [row["usage_date"] for row in run("usage/touched_date", given)]


def key(name: str, usage_date: date = OTHER, **fields) -> dict:
    return usage_key(name, usage_date=usage_date, **fields)


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (usage_key("a"), key("a")),
        (usage_key("a"), key("v", corrects="a")),
        (usage_key("x", corrects="a"), key("v", corrects="a")),
    ],
)
def test_a_shared_identity_or_a_correction_makes_a_date_matter(own, other):
    assert foreign([own], [other, key("stranger", FAR)]) == [(OTHER, DAY)]


def test_the_target_of_an_own_adjust_matters_where_a_void_of_it_is_near():
    adjust, target = usage_key("x", corrects="a"), key("a", FAR)
    void = key("v", corrects="a") | {"void_hash": adjust["corrects_hash"]}

    assert foreign([adjust], [target, void]) == [(OTHER, DAY), (FAR, DAY)]
    assert foreign([adjust], [target]) == []


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (usage_key("a"), key("b")),
        (usage_key("a"), key("v", corrects="b")),
        (usage_key("v", corrects="a"), key("a")),
        (usage_key("v", corrects="a"), key("b")),
    ],
)
def test_strangers_and_the_target_of_an_own_void_do_not_matter(own, other):
    assert foreign([own], [other]) == []


def test_rivals_of_a_void_elsewhere_matter_too():
    void, rival = key("v", corrects="a"), key("v", FAR, delivered_at=LATER)

    assert foreign([usage_key("a")], [void, rival]) == [(OTHER, DAY), (FAR, DAY)]


def test_each_landed_date_of_a_usage_date_is_judged_alone():
    other = [key("a", landed_date=NEXT), key("b", landed_date=DAY), key("a", landed_date=NEXT)]

    assert foreign([usage_key("a")], other) == [(OTHER, NEXT)]


def test_no_keys_give_no_dates():
    assert foreign([], [key("a")]) == foreign([usage_key("a")], []) == []
    assert touched([], [], [key("a")]) == []


@pytest.mark.parametrize(
    ("changed", "live"),
    [
        (usage_key("a"), key("a")),
        (usage_key("v", corrects="a"), key("a")),
        (usage_key("v", corrects="a"), key("x", corrects="a")),
        (usage_key("a"), key("x", corrects="a")),
    ],
)
def test_what_comes_or_goes_touches_repeats_targets_and_fellow_corrections(changed, live):
    stranger = key("stranger", FAR)

    assert touched([], [changed], [live, stranger]) == [OTHER]
    assert touched([changed], [], [live, stranger]) == [OTHER]


def test_what_seems_to_stay_touches_its_repeats_for_the_index_does_not_tell_all_of_it():
    same = [usage_key("a"), usage_key("v", corrects="b")]

    assert touched(same, list(reversed(same)), [key("a"), key("v", FAR), key("c", NEXT)]) == [
        OTHER,
        FAR,
    ]


def test_another_delivery_time_touches_the_dates_of_its_repeats():
    assert touched([usage_key("a")], [usage_key("a", delivered_at=LATER)], [key("a")]) == [OTHER]


def test_an_adjust_that_becomes_a_void_or_a_void_an_adjust_touches_its_target():
    adjust = usage_key("v", corrects="a")
    void = adjust | {"void_hash": adjust["corrects_hash"]}

    assert touched([adjust], [void], [key("a")]) == [OTHER]
    assert touched([void], [adjust], [key("a")]) == [OTHER]


def test_a_void_that_points_elsewhere_touches_its_old_and_its_new_target():
    old, new = usage_key("v", corrects="a"), usage_key("v", corrects="b")

    assert touched([old], [new], [key("a"), key("b", FAR), key("c", NEXT)]) == [OTHER, FAR]


def test_a_record_that_takes_a_voids_identity_touches_the_target_of_that_void():
    """v arrives as usage and may now be the first: the void of a may count no more."""
    live = [key("v", corrects="a"), key("a", FAR)]

    assert touched([], [usage_key("v")], live) == [OTHER, FAR]


def test_the_identity_of_a_void_is_looked_for_as_far_as_the_void_reaches():
    """a counts on DAY, its void eight days before it, and something claimed the void's identity before that."""
    own, void = usage_key("a"), key("v", corrects="a")
    void |= {"void_hash": void["corrects_hash"]}
    bears = far_voids([own], [void])
    claims = [key("v", OTHER - timedelta(days=n)) for n in (3, 4)]

    assert [(row["key_hash"], row["usage_date"]) for row in bears] == [(void["key_hash"], OTHER)]
    assert far_voids([usage_key("x", corrects="a")], [void]) == bears
    assert far_voids([usage_key("b")], [void]) == far_voids([own], [key("v", corrects="a")]) == []
    assert far_dates(bears, [*claims, key("w", FAR)]) == [OTHER - timedelta(days=3)]


def test_a_void_whose_identity_is_claimed_anew_widens_what_may_be_touched():
    void = key("v", corrects="a")
    given = {
        "old_key": rows_of(USAGE_KEY, []),
        "new_key": rows_of(USAGE_KEY, [usage_key("v")]),
        "live_key": rows_of(USAGE_KEY, [void | {"void_hash": void["corrects_hash"]}]),
    }

    assert [row["key_hash"] for row in run("usage/claimed_void", given)] == [void["key_hash"]]
    given["new_key"] = rows_of(USAGE_KEY, [usage_key("a")])
    assert run("usage/claimed_void", given) == []


def far_voids(own, other) -> list[dict]:
    given = {"own_key": rows_of(USAGE_KEY, own), "other_key": rows_of(USAGE_KEY, other)}
    return run("usage/far_void", given)


def far_dates(voids, far) -> list[date]:
    types = {"key_hash": "UBIGINT", "usage_date": "DATE"}
    given = {"far_void": rows_like(types, voids), "far_key": rows_of(USAGE_KEY, far)}
    return [row["usage_date"] for row in run("usage/far_date", given, reach=3)]
