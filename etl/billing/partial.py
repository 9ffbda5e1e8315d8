"""A delivery that ends before what is loaded of its month: mostly a part of it, at times all that is left of it.

Only who knows the provider can tell: it is refused and says so, and is taken where its month is asked for after that.
"""

from collections.abc import Iterable

from etl.billing.delivery import REJECTED, Delivery

REASON = "partial_month"


def refused(
    done: Delivery, old: Delivery, known: Iterable[Delivery], asked: str | None
) -> Delivery | None:
    """The delivery as it is refused for what is loaded, or None. `asked`: month that was asked for by name."""
    if not (old.last_day and done.last_day and done.last_day < old.last_day):
        return None
    was_told = any(one.delivery_id == done.delivery_id and one.reason == REASON for one in known)
    if was_told and asked == done.billing_period:
        return None
    return done.at(
        REJECTED,
        REASON,
        f"ends on {done.last_day}, what is loaded on {old.last_day}: where the provider took the last lines away, "
        f"ask for the month by name: usage-export billing ingest {done.stream} --period {done.billing_period}",
    )
