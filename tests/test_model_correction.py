"""usage/correction, usage/set_aside, usage/deduplicate_tally: voids, what stays, sums."""

from datetime import timedelta

import pyarrow as pa
import pytest

from etl.tables import CORRECTION, DUPLICATE
from tests.models import (
    DAY,
    EVENING,
    NEXT,
    adjust,
    arrival,
    arrivals,
    key_of,
    quantity,
    rows_of,
    run,
    void,
)

EGRESS = {"meter": "bytes", "unit": "Bytes"}


def lost(row: dict) -> dict:
    """The row of `duplicate` for an arrival that is a repeat."""
    return {name: row.get(name) for name in DUPLICATE.sql_columns} | {"class": "re_delivery"}


def corrections(own, foreign=(), repeats=()) -> list[dict]:
    given = {
        "arrival": arrivals(list(own)),
        "foreign_arrival": arrivals(list(foreign)),
        "duplicate_row": rows_of(DUPLICATE, [lost(row) for row in repeats]),
        "repeated_void": arrivals([row for row in repeats if row["record_kind"] == "void"]),
    }
    rows = run("usage/correction", given, reach=36)
    return sorted(rows, key=lambda row: (row["role"], row["record_key"], row["meter"]))


def roles(*own, foreign=(), repeats=()) -> dict[str, str]:
    """Role by the short name of a record; records that count are left out."""
    own = [row | {"raw_line": n} for n, row in enumerate(own, 1)]
    found = corrections(own, foreign, repeats)
    names = {row["record_key"]: row["source_event_id"] for row in own}
    return {names[row["record_key"]]: row["role"] for row in found}


def kept(own, repeats=(), cancelled=()) -> list[tuple[int, str]]:
    roles = [{name: row.get(name) for name in CORRECTION.sql_columns} for row in cancelled]
    numbers = pa.array(range(len(own)), pa.int64())
    given = {
        "arrival_place": arrivals(own).append_column("place", numbers),
        "duplicate_row": rows_of(DUPLICATE, [lost(row) for row in repeats]),
        "correction_row": rows_of(CORRECTION, [row | {"role": "voided"} for row in roles]),
    }
    aside = [row["place"] for row in run("usage/set_aside", given)]
    assert aside == sorted(set(aside))
    return [(row["raw_line"], row["meter"]) for n, row in enumerate(own) if n not in aside]


def test_without_a_void_nothing_is_cancelled():
    assert roles(arrival("a"), adjust("a", -3)) == {}


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_a_void_cancels_every_measure_of_its_target_wherever_it_counts(where):
    target = [arrival("a", 7), arrival("a", 30, **EGRESS), arrival("b", raw_line=2)]
    instruction = void("a", raw_line=3)
    own, foreign = ([*target, instruction], []) if where == "here" else (target, [instruction])
    rows = [row for row in corrections(own, foreign) if row["role"] == "voided"]

    assert [(row["record_key"], row["meter"], row["quantity"]) for row in rows] == [
        (key_of("a"), "api_calls", quantity("7")),
        (key_of("a"), "bytes", quantity("30")),
    ]


def test_a_void_stands_on_its_date_also_without_a_target():
    (row,) = corrections([void("nobody")])

    assert (row["role"], row["corrects_key"]) == ("void", key_of("nobody"))
    assert (row["usage_date"], row["quantity"]) == (DAY, quantity("0"))


def test_two_voids_cancel_their_target_once():
    assert roles(arrival("a"), void("a", "v1"), void("a", "v2")) == {
        "a": "voided",
        "v1": "void",
        "v2": "void",
    }


def test_a_void_of_a_void_restores_nothing():
    assert roles(arrival("a"), void("a", "v1"), void("v1", "v2")) == {
        "a": "voided",
        "v1": "void",
        "v2": "void",
    }


def test_an_adjust_is_cancelled_with_its_target_or_alone():
    assert roles(arrival("a"), adjust("a", -3, "x"), void("a")) == {
        "a": "voided",
        "x": "voided",
        "v1": "void",
    }
    assert roles(arrival("a"), adjust("a", -3, "x"), void("x")) == {"x": "voided", "v1": "void"}


def test_an_adjust_of_a_record_that_was_voided_on_another_date_is_cancelled():
    assert roles(adjust("a", -3, "x"), foreign=[arrival("a"), void("a")]) == {"x": "voided"}


@pytest.mark.parametrize(
    ("target", "found"), [(-10, {"x": "voided"}), (-11, {}), (None, {"x": "voided"})]
)
def test_an_adjust_stands_where_the_void_is_too_far_from_its_target(target, found):
    far = [] if target is None else [arrival("a", usage_date=DAY + timedelta(days=target))]

    assert (
        roles(adjust("a", -3, "x"), foreign=[*far, void("a", usage_date=DAY + timedelta(days=26))])
        == found
    )


def test_what_is_delivered_later_under_a_targets_identity_does_not_bring_it_into_reach():
    first, again = DAY - timedelta(days=11), DAY - timedelta(days=1)
    later = EVENING + timedelta(hours=1)
    target = [
        arrival("a", usage_date=first),
        arrival("a", usage_date=again, delivered_at=later, raw_line=2),
    ]

    assert (
        roles(
            adjust("a", -3, "x"), foreign=[*target, void("a", usage_date=DAY + timedelta(days=26))]
        )
        == {}
    )


def test_a_void_reaches_one_step_not_an_adjust_of_an_adjust():
    found = roles(arrival("a"), adjust("a", -3, "x"), adjust("x", 1, "y"), void("a"))

    assert found == {"a": "voided", "x": "voided", "v1": "void"}


def test_a_record_that_names_a_target_but_is_usage_is_not_cancelled_with_it():
    assert roles(arrival("b", corrects="a"), void("a")) == {"v1": "void"}


def test_repeats_are_not_cancelled_a_second_time():
    repeat = arrival("a", raw_line=9)
    found = corrections([arrival("a"), repeat, void("a", raw_line=2)], repeats=[repeat])

    assert [(row["role"], row["raw_line"]) for row in found] == [("void", 2), ("voided", 1)]


def test_a_repeated_void_is_one_instruction():
    repeat = void("a", raw_line=9)
    found = corrections([void("a"), repeat], repeats=[repeat])

    assert [(row["role"], row["raw_line"]) for row in found] == [("void", 1)]


def test_a_conflicting_void_that_was_not_kept_cancels_nothing():
    """v1 first voids a, then comes again as a void of b: the first delivery counts."""
    again = void("b", "v1", raw_line=4, delivered_at=EVENING + timedelta(hours=1))
    own = [arrival("a"), arrival("b", raw_line=2), void("a", "v1", raw_line=3), again]
    voided = [row for row in corrections(own, repeats=[again]) if row["role"] == "voided"]

    assert [row["record_key"] for row in voided] == [key_of("a")]


def test_a_void_on_another_date_that_was_not_kept_cancels_nothing():
    lost = void("a", usage_date=NEXT, raw_line=4)

    assert corrections([arrival("a")], foreign=[lost], repeats=[lost]) == []


def test_events_are_arrivals_less_repeats_and_corrections_whole_records_at_a_time():
    own = [arrival("a", raw_line=n, **more) for n in (1, 2, 3) for more in ({}, EGRESS)]

    assert kept(own, repeats=[own[2]], cancelled=[own[4]]) == [(1, "api_calls"), (1, "bytes")]


def test_the_same_line_of_another_object_is_another_record():
    own = [arrival("a"), arrival("b", raw_object_key="o2")]

    assert kept(own, repeats=[own[1]]) == [(1, "api_calls")]
    assert kept(own) == [(1, "api_calls"), (1, "api_calls")]


def test_the_tally_counts_each_part_from_its_own_table_by_meter():
    cancelled = [
        {"role": "voided", "meter": "api_calls", "unit": "Requests", "quantity": quantity("4")},
        {"role": "void", "meter": "void", "unit": "Requests", "quantity": quantity("0")},
    ]
    own = [arrival("a", 1), arrival("b", 2), arrival("c", 4), void("c"), arrival("d", 9, **EGRESS)]
    given = {
        "arrival": arrivals(own),
        "event_row": arrivals([own[0], own[4]]),
        "duplicate_row": rows_of(DUPLICATE, [lost(own[1])]),
        "correction_row": rows_of(CORRECTION, cancelled),
    }
    api, egress, instruction = run("usage/deduplicate_tally", given)

    assert [api[f"rows_{part}"] for part in ("in", "out", "duplicate", "voided", "void")] == [
        *(3, 1, 1, 1, 0)
    ]
    assert [api[f"quantity_{part}"] for part in ("in", "out", "duplicate", "voided")] == [
        quantity(text) for text in ("7", "1", "2", "4")
    ]
    assert (egress["quantity_in"], egress["quantity_out"]) == (quantity("9"), quantity("9"))
    assert (instruction["meter"], instruction["rows_in"], instruction["rows_void"]) == (
        "void",
        1,
        1,
    )


def test_the_tally_of_nothing_is_empty():
    nothing = {"arrival": arrivals([]), "event_row": arrivals([])}
    nothing["duplicate_row"] = rows_of(DUPLICATE, [])
    nothing["correction_row"] = rows_of(CORRECTION, [])

    assert run("usage/deduplicate_tally", nothing) == []
