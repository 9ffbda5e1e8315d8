"""reconcile/sequence_gap, sequence_open and sequence_moved: numbers that no object holds, named by the object behind
them."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.tables import MANIFEST
from tests.models import DAY, NEXT, manifest, rows_of, run


def gaps(*objects) -> list[tuple[int, int, str]]:
    return [(row["first_missing"], row["missing"], row["raw_object_key"]) for row in rows(*objects)]


def rows(*objects) -> list[dict]:
    return run("reconcile/sequence_gap", {"manifest": rows_of(MANIFEST, list(objects))})


@pytest.mark.parametrize(
    "objects",
    [
        [],
        [manifest(100, 5)],
        [manifest(0, 5), manifest(5, 5)],
        [manifest(5, 5), manifest(0, 5)],
        [manifest(0, 5), manifest(0, 5, raw_object_key="again"), manifest(5, 1)],
        [manifest(0, 10), manifest(2, 3), manifest(10, 1)],
        [manifest(None, 5), manifest(None, 5)],
        [manifest(0, 0), manifest(0, 5), manifest(5, 1)],
    ],
)
def test_what_joins_or_overlaps_has_no_gap(objects):
    assert gaps(*objects) == []


def test_a_gap_lies_between_the_end_of_all_before_and_the_next_start():
    assert gaps(manifest(0, 5), manifest(7, 3), manifest(10, 2), manifest(20, 1)) == [
        (5, 2, "o7"),
        (12, 8, "o20"),
    ]


def test_an_object_that_could_not_be_read_leaves_its_numbers_missing():
    broken = manifest(5, 0, outcome="object_truncated")

    assert gaps(manifest(0, 5), broken, manifest(8, 1)) == [(5, 3, "o8")]


def test_two_objects_behind_one_gap_are_one_gap():
    assert gaps(manifest(0, 5), manifest(7, 0), manifest(7, 2, raw_object_key="z")) == [
        (5, 2, "o7")
    ]


def test_scopes_and_streams_count_for_themselves():
    other = [manifest(9, 1, sequence_scope="1"), manifest(9, 1, stream="other")]

    assert gaps(manifest(0, 5), *other) == []


def test_a_gap_over_midnight_belongs_to_the_date_of_the_object_behind_it():
    (row,) = rows(manifest(0, 5), manifest(6, 1, landed_date=NEXT))

    assert (row["stream"], row["sequence_scope"]) == ("app_usage", "0")
    assert (DAY, row["landed_date"]) == (DAY, NEXT)


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(0, 30), min_size=1), st.randoms(use_true_random=False))
def test_held_and_missing_numbers_make_up_the_whole_range(held, order: random.Random):
    objects = [manifest(number, 1) for number in held]
    order.shuffle(objects)

    missing = {n for first, length, _ in gaps(*objects) for n in range(first, first + length)}
    assert missing == set(range(min(held), max(held) + 1)) - held


numbers = st.integers(0, 12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(numbers, st.integers(0, 4), st.booleans(), st.booleans()), max_size=8))
def test_what_is_not_open_by_some_manifests_has_no_gap_by_all(drawn):
    objects = [
        manifest(first, n, landed_date=DAY if today else NEXT, raw_object_key=f"o{number}")
        for number, (first, n, today, _) in enumerate(drawn)
    ]
    hand = [one for one, (*_, today, near) in zip(objects, drawn, strict=True) if today or near]
    found = {row["raw_object_key"] for row in rows(*objects) if row["landed_date"] == DAY}

    undecided = run("reconcile/sequence_open", {"manifest": rows_of(MANIFEST, hand)}, day=DAY)

    assert undecided or not found


@pytest.mark.parametrize(
    ("objects", "streams"),
    [
        ([manifest(0)], []),
        ([manifest(5)], ["app_usage"]),
        ([manifest(0), manifest(5)], ["app_usage"]),
        ([manifest(0, 5, landed_date=NEXT), manifest(5)], []),
        ([manifest(0, 9, landed_date=NEXT), manifest(5)], []),
        ([manifest(0), manifest(5, landed_date=NEXT)], []),
        ([manifest(0, 5, stream="other"), manifest(5)], ["app_usage"]),
        ([manifest(0, 5, sequence_scope="1"), manifest(5)], ["app_usage"]),
        ([manifest(None)], []),
    ],
)
def test_a_stream_is_open_where_nothing_at_hand_joins_an_object_of_the_day(objects, streams):
    found = run("reconcile/sequence_open", {"manifest": rows_of(MANIFEST, objects)}, day=DAY)

    assert [row["stream"] for row in found] == streams


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(numbers, st.integers(0, 4), st.sampled_from("kon")), max_size=8))
def test_every_date_whose_gap_is_another_is_told_though_nothing_changed_on_it(drawn):
    objects = [
        (
            manifest(
                first, n, landed_date=DAY if which == "k" else NEXT, raw_object_key=f"o{number}"
            ),
            which,
        )
        for number, (first, n, which) in enumerate(drawn)
    ]
    kept, old, new = ([one for one, which in objects if which == each] for each in "kon")
    before, after = (
        [row for row in rows(*kept, *some) if row["landed_date"] == DAY] for some in (old, new)
    )

    views = {"manifest": kept, "old_manifest": old, "new_manifest": new}
    inputs = {name: rows_of(MANIFEST, some) for name, some in views.items()}
    found = {row["landed_date"] for row in run("reconcile/sequence_moved", inputs)}

    assert found <= {DAY}
    assert found or before == after
