"""The newest good delivery of a month stands: a newer one that is refused or withdrawn is no end of the older one."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pytest

from etl import cli
from etl.billing import partial, stages
from etl.billing.delivery import LOADED, REJECTED, Delivery
from etl.errors import SourceError
from tests.bills import FOLDER, bill, land, line
from tests.test_billing import billed, states
from tests.test_overlap import OF_NOVEMBER, land_export

FIRST, SECOND, THIRD, FOURTH = (datetime(2026, 10, day, 6) for day in (20, 21, 22, 23))
OTHER = line(BillingAccountId="9")

pytestmark = pytest.mark.usefixtures("quick_judge")


def withdraw(lake, name: str) -> None:
    lake.client.delete_object(Bucket="landing", Key=f"{lake.name}/{FOLDER}/{name}")


def expect_nothing_new(lake) -> None:
    release = lake.release()
    stages.ingest("aws_focus", "idle")
    assert lake.release() == release


@pytest.mark.parametrize(
    ("body", "reason"),
    [(bill(line(BilledCost="much")), "amount_not_a_number"), (bill(), "empty")],
)
def test_of_deliveries_that_came_at_once_the_newest_good_one_is_loaded(lake, body, reason):
    land(lake, "one.csv", bill(line()), FIRST)
    land(lake, "two.csv", bill(line(BilledCost="3")), SECOND)
    land(lake, "three.csv", body, THIRD)
    land(lake, "four.csv", body + b"\n", FOURTH)

    stages.ingest("aws_focus", "first")

    assert billed(lake) == {"USD": Decimal("3")}
    assert states(lake) == {
        "one.csv": ("superseded", "newer_delivery"),
        "two.csv": ("loaded", None),
        "three.csv": ("rejected", reason),
        "four.csv": ("rejected", reason),
    }
    expect_nothing_new(lake)


def test_a_month_whose_last_lines_were_taken_away_is_loaded_where_it_is_asked_for(lake):
    # given a month with a line of its last day, and a delivery that has it no more
    last = line(ChargePeriodStart="2026-10-31T00:00:00Z", ChargePeriodEnd="2026-11-01T00:00:00Z")
    land(lake, "one.csv", bill(line(), last), FIRST)
    stages.ingest("aws_focus", "first")
    land(lake, "two.csv", bill(line()), SECOND)

    # then it may be a part of the month, and what to do otherwise is said
    (said,) = stages.ingest("aws_focus", "second")["details"].values()
    assert (
        "ask for the month by name: usage-export billing ingest aws_focus --period 2026-10" in said
    )
    assert states(lake)["two.csv"] == ("rejected", "partial_month")

    # and asked for it takes the month
    stages.ingest("aws_focus", "third", "2026-10")
    assert billed(lake) == {"USD": Decimal("1.25")}
    (moved,) = lake.rows("SELECT charge_date, billed_difference FROM charge_restatement")
    assert (str(moved["charge_date"]), moved["billed_difference"]) == (
        "2026-10-31",
        Decimal("-1.25"),
    )


def test_an_empty_month_is_loaded_where_nothing_better_came(lake):
    land(lake, "one.csv", bill(line(BilledCost="much")), FIRST)
    land(lake, "two.csv", bill(), SECOND)

    stages.ingest("aws_focus", "first")

    assert states(lake)["two.csv"] == ("loaded", None)


@pytest.mark.parametrize("is_at_once", [True, False])
def test_a_month_whose_lines_were_all_taken_away_is_empty_where_it_is_asked_for(lake, is_at_once):
    # given a month, and a newer delivery of it without a line
    land(lake, "one.csv", bill(line()), FIRST)
    if not is_at_once:
        stages.ingest("aws_focus", "first")
    land(lake, "two.csv", bill(), SECOND)

    # then the month stays, and what to do otherwise is said
    (said,) = stages.ingest("aws_focus", "second")["refused"]
    assert (
        "ask for the month by name: usage-export billing ingest aws_focus --period 2026-10" in said
    )
    assert states(lake) == {"one.csv": ("loaded", None), "two.csv": ("rejected", "empty")}
    expect_nothing_new(lake)

    # and asked for it is empty, in so many words
    assert not stages.ingest("aws_focus", "asked", "2026-10")["refused"]
    assert billed(lake) == {}
    assert states(lake) == {
        "one.csv": ("superseded", "newer_delivery"),
        "two.csv": ("loaded", None),
    }
    (moved,) = lake.rows("SELECT billed_difference, rows_removed FROM charge_restatement")
    assert tuple(moved.values()) == (Decimal("-1.25"), 1)
    expect_nothing_new(lake)

    # until lines come
    land(lake, "three.csv", bill(line(BilledCost="3")), THIRD)
    stages.ingest("aws_focus", "third")
    assert billed(lake) == {"USD": Decimal("3")}


def test_an_empty_delivery_does_not_count_in_the_place_of_a_newer_one_that_is_refused(lake):
    # given a month, a newer delivery of it without a line, and after that one that cannot be read
    land(lake, "one.csv", bill(line()), FIRST)
    stages.ingest("aws_focus", "first")
    land(lake, "two.csv", bill(), SECOND)
    stages.ingest("aws_focus", "second")
    land(lake, "three.csv", bill(line(BilledCost="much")), THIRD)
    stages.ingest("aws_focus", "third")

    # then asked for is the last one: where that is refused again, the month stays
    stages.ingest("aws_focus", "asked", "2026-10")
    assert billed(lake) == {"USD": Decimal("1.25")}
    assert states(lake)["one.csv"] == ("loaded", None)


OLD = Delivery("s", "p", "2026-10", "one", LOADED, FIRST, rows=2)
NEW = Delivery("s", "p", "2026-10", "two", LOADED, SECOND, rows=0)


def test_a_month_is_not_emptied_for_what_was_told_in_words_that_did_not_say_so():
    once = NEW.at(REJECTED, "empty", "2 rows are loaded")  # as ledgers have it from before
    told = partial.refused(NEW, OLD, [once], "2026-10")

    assert told is not None and "ask for the month by name" in (told.detail or "")
    assert not partial.is_told_empty(once) and partial.is_told_empty(told)
    assert partial.refused(NEW, OLD, [told], "2026-10") is None


@pytest.mark.parametrize(
    ("loaded", "is_refused"), [(date(2026, 10, 31), True), (date(2026, 11, 1), False)]
)
def test_a_last_day_after_its_month_does_not_tell_how_far_a_delivery_reached(loaded, is_refused):
    """Ledgers have it from before, of a month with a charge that begins after it."""
    old = replace(OLD, last_day=loaded)
    new = replace(NEW, rows=2, last_day=date(2026, 10, 20))

    assert (partial.refused(new, old, [], None) is not None) == is_refused


def test_while_the_newest_waits_the_one_before_it_stands(lake):
    # given a loaded month, a newer delivery of it, and one after that in which an account is missing
    land(lake, "one.csv", bill(line(), OTHER), FIRST)
    stages.ingest("aws_focus", "first")
    land(lake, "two.csv", bill(line(BilledCost="3"), OTHER), SECOND)
    land(lake, "three.csv", bill(line(BilledCost="5")), THIRD)
    for run in ("refused", "older", "again"):
        (said,) = stages.ingest("aws_focus", run)["refused"]
        assert said.endswith("--period 2026-10; until then this delivery does not count")

    # then the one in the middle counts, and nothing moves any more
    assert billed(lake) == {"USD": Decimal("4.25")}
    assert states(lake) == {
        "one.csv": ("superseded", "newer_delivery"),
        "two.csv": ("loaded", None),
        "three.csv": ("complete", "account_gone"),
    }
    expect_nothing_new(lake)

    # and where somebody says that it is right, the newest does
    stages.ingest("aws_focus", "asked", "2026-10")
    assert billed(lake) == {"USD": Decimal("5")}


def test_what_waits_and_is_withdrawn_leaves_the_month_to_the_one_before_it(lake):
    land(lake, "one.csv", bill(line(), OTHER), FIRST)
    stages.ingest("aws_focus", "first")
    land(lake, "two.csv", bill(line(BilledCost="3"), OTHER), SECOND)
    land(lake, "three.csv", bill(line(BilledCost="5")), THIRD)
    stages.ingest("aws_focus", "refused")

    withdraw(lake, "three.csv")
    stages.ingest("aws_focus", "withdrawn")

    assert states(lake)["three.csv"] == ("seen", "vanished")
    assert billed(lake) == {"USD": Decimal("4.25")}
    expect_nothing_new(lake)


def test_a_month_goes_back_from_what_was_released_and_withdrawn_only_where_it_is_asked_for(
    lake, capsys
):
    # given a released month whose delivery, the longer one, is withdrawn
    land(lake, "one.csv", bill(line()), FIRST)
    stages.ingest("aws_focus", "first")
    days = {"ChargePeriodStart": "2026-10-09T00:00:00Z", "ChargePeriodEnd": "2026-10-10T00:00:00Z"}
    later = line(BilledCost="3", **days)
    land(lake, "two.csv", bill(later), SECOND)
    stages.ingest("aws_focus", "second")
    withdraw(lake, "two.csv")

    # then it stays, and somebody is told, each time
    for _ in range(2):
        assert cli.main(["billing", "ingest", "aws_focus"]) == 1
        assert "no longer lies in landing" in capsys.readouterr().err
    with pytest.raises(SourceError, match=r"2026-10.* was withdrawn, ask for the month by name"):
        stages.alarm()
    assert billed(lake) == {"USD": Decimal("3")}

    # when it is asked for, then the older one counts, and the difference is written down
    assert cli.main(["billing", "ingest", "aws_focus", "--period", "2026-10"]) == 0
    assert billed(lake) == {"USD": Decimal("1.25")}
    assert states(lake) == {"one.csv": ("loaded", None), "two.csv": ("superseded", "withdrawn")}
    moved = lake.rows("SELECT sum(billed_difference)::DECIMAL(9,2) AS d FROM charge_restatement")
    assert moved == [{"d": Decimal("0")}]
    expect_nothing_new(lake)

    # and where the newer one is delivered after all, it counts again
    land(lake, "two.csv", bill(later), SECOND)
    stages.ingest("aws_focus", "back")
    assert billed(lake) == {"USD": Decimal("3")}
    expect_nothing_new(lake)


def test_what_waits_is_told_no_more_once_a_newer_one_is_good(lake):
    land(lake, "one.csv", bill(line(ChargePeriodEnd="2026-10-01")), FIRST)
    assert stages.ingest("aws_focus", "refused")["refused"]

    land(lake, "two.csv", bill(line()), SECOND)

    assert not stages.ingest("aws_focus", "good")["refused"]
    assert states(lake)["one.csv"] == ("superseded", "newer_delivery")
    expect_nothing_new(lake)


def test_what_is_older_than_the_same_month_once_more_does_not_count(lake):
    land(lake, "one.csv", bill(line()), FIRST)
    stages.ingest("aws_focus", "first")
    land(lake, "three.csv", bill(line()), THIRD)
    stages.ingest("aws_focus", "again")

    land(lake, "two.csv", bill(line(BilledCost="9")), SECOND)
    stages.ingest("aws_focus", "late")

    assert billed(lake) == {"USD": Decimal("1.25")}
    assert states(lake)["two.csv"] == ("superseded", "older_than_loaded")
    expect_nothing_new(lake)


@pytest.mark.parametrize("months", [["2026-10", "2026-11"], ["2026-11", "2026-10"]])
def test_two_months_of_one_run_of_an_export_are_two_deliveries(lake, months):
    of_month = {"2026-10": {}, "2026-11": OF_NOVEMBER}
    for at, month in ((FIRST, months[0]), (SECOND, months[1])):
        land_export(lake, month, bill(line(**of_month[month])), at, "run")
        stages.ingest("aws_focus_export", f"one by one {at:%d}")
    land_export(lake, "2026-10", bill(line(BilledCost="3")), THIRD, "next")
    land_export(lake, "2026-11", bill(line(BilledCost="5", **OF_NOVEMBER)), THIRD, "next")
    stages.ingest("aws_focus_export", "together")
    stages.ingest("aws_focus_export", "asked", "2026-11")

    assert billed(lake) == {"USD": Decimal("8")}
    release = lake.release()
    stages.ingest("aws_focus_export", "idle")
    assert lake.release() == release


def test_what_was_withdrawn_and_comes_back_waits_for_nobody(lake):
    land(lake, "one.csv", bill(line()), FIRST)
    stages.ingest("aws_focus", "first")
    land(lake, "two.csv", bill(line(BilledCost="3")), SECOND)
    stages.ingest("aws_focus", "second")
    withdraw(lake, "two.csv")
    stages.ingest("aws_focus", "withdrawn")
    assert states(lake)["one.csv"] == ("complete", "newer_withdrawn")

    land(lake, "two.csv", bill(line(BilledCost="3")), SECOND)
    stages.ingest("aws_focus", "back")

    assert states(lake) == {
        "one.csv": ("superseded", "older_than_loaded"),
        "two.csv": ("loaded", None),
    }
    expect_nothing_new(lake)
