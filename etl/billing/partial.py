"""A delivery that has less of its month than what is loaded: it ends before, or has no rows. Mostly it is a part of the
month, at times all that is left of it.

Only who knows the provider can tell: it is refused and says so, and is taken where its month is asked for after that.
"""

from collections.abc import Iterable
from datetime import date

from etl.billing.delivery import REJECTED, Delivery, period_end

BY_NAME = "ask for the month by name"


def refused(
    done: Delivery, old: Delivery, known: Iterable[Delivery], asked: str | None
) -> Delivery | None:
    """The delivery as it is refused for what is loaded, or None. `asked`: month that was asked for by name."""
    if old.rows and not done.rows and old.stream != done.stream:  # nothing would tell whose it is
        why = f"{old.rows} rows are loaded by {old.stream}, and what is empty takes over no month"
        return done.at(REJECTED, "empty", why)
    if old.rows and not done.rows:
        told = empty(done, f"{old.rows} rows are loaded")
    elif old.last_day and done.last_day and done.last_day < old.last_day < _end(old):
        why = f"ends on {done.last_day}, what is loaded on {old.last_day}"
        told = done.at(REJECTED, "partial_month", _ask(done, why, "the last lines"))
    else:
        return None
    was_told = {one.delivery_id for one in known if one.reason == told.reason and _says_how(one)}
    return None if done.delivery_id in was_told and asked == done.billing_period else told


def empty(done: Delivery, why: str) -> Delivery:
    """The delivery as it is refused for want of rows."""
    return done.at(REJECTED, "empty", _ask(done, why, "all lines"))


def is_told_empty(before: Delivery | None) -> bool:
    """Whether somebody was told how it takes its month."""
    if before is None or (before.state, before.reason) != (REJECTED, "empty"):
        return False
    return _says_how(before)


def _says_how(told: Delivery) -> bool:
    """Ledgers know empty deliveries from before one could take a month."""
    return BY_NAME in (told.detail or "")


def _end(old: Delivery) -> date:
    """A last day from here on is of a charge that begins after its month, as ledgers have it from before: it tells
    nothing."""
    return period_end(old.billing_period).date()


def _ask(done: Delivery, why: str, gone: str) -> str:
    return (
        f"{why}: where the provider took {gone} away, {BY_NAME}: "
        f"usage-export billing ingest {done.stream} --period {done.billing_period}"
    )
