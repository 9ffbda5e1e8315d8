"""Which deliveries to load, and what becomes of those that are not: the rule of one truth a month.

A month is replaced whole by its newest complete delivery; an older, partial, empty or equal one never replaces
what is loaded. Where deliveries append, each is loaded once; an object that was replaced takes its rows back.
"""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from etl.billing import partial
from etl.billing.contract import BillingContract
from etl.billing.delivery import (
    COMPLETE,
    LOADED,
    SUPERSEDED,
    Delivery,
    age,
    is_settled,
    stands,
)

# an older delivery would be refused for the same
OF_THE_MONTH = ("counted_elsewhere", "two_folders")


def choose(
    contract: BillingContract,
    found: Iterable[Delivery],
    known: Iterable[Delivery],
    billing_period: str | None = None,
    taken_over: Mapping[str, str] = MappingProxyType({}),
    waiting: Collection[str] = (),
    passed_over: Collection[str] = (),
) -> tuple[list[list[Delivery]], list[Delivery]]:
    """(deliveries to load, ledger rows that changed without being loaded). With `billing_period` only of
    that month, and what is loaded of it already is loaded again. `taken_over`: month -> contract that has it now.

    Of each delivery to load those follow, newest first, that count where it is refused. `waiting` are not loaded,
    `passed_over` not even looked at."""
    of_id = {one.delivery_id: one for one in known}
    wanted = [one for one in found if billing_period in (None, one.billing_period)]
    open_ones: list[Delivery] = []
    changed: list[Delivery] = []
    for one in wanted:
        before = of_id.get(one.delivery_id)
        if one.delivery_id in passed_over:
            continue
        if before and _is_settled(contract, before, one, again=billing_period is not None):
            continue
        if one.state == COMPLETE and one.billing_period in taken_over:
            changed.append(one.at(SUPERSEDED, "taken_over", taken_over[one.billing_period]))
        elif one.state == COMPLETE:
            open_ones.append(one)
        elif before is None or (one.state, one.detail) != (before.state, before.detail):
            changed.append(one)
    if contract.discovery.kind == "append":
        return _last_of_each_place(open_ones, changed)
    return _newest(open_ones, of_id, waiting, changed, again=billing_period is not None)


def _is_settled(contract: BillingContract, before: Delivery, now: Delivery, again: bool) -> bool:
    """What is asked for again is judged again, less what was replaced."""
    if again and before.state != SUPERSEDED:
        return False
    return is_settled(before, contract.version, now.submitted_at)


def _last_of_each_place(
    open_ones: list[Delivery], changed: list[Delivery]
) -> tuple[list[list[Delivery]], list[Delivery]]:
    """What lies there under two spellings of one path is one delivery: the last."""
    last = {one.place: one for one in sorted(open_ones, key=age)}
    chosen = [[one] for one in open_ones if one is last[one.place]]
    others = (one for one in open_ones if one is not last[one.place])
    older = [one.at(SUPERSEDED, "newer_delivery", last[one.place].delivery_id) for one in others]
    return chosen, changed + older


def _newest(
    open_ones: list[Delivery],
    known: Mapping[str, Delivery],
    waiting: Collection[str],
    changed: list[Delivery],
    again: bool,
) -> tuple[list[list[Delivery]], list[Delivery]]:
    """The newest complete delivery of each month, unless what is loaded is newer. Where it was told to be empty, and
    is asked for `again`, none before it counts."""
    chosen: list[list[Delivery]] = []
    standing = stands(known.values())
    for month in sorted({one.billing_period for one in open_ones}):
        mine = [one for one in open_ones if one.billing_period == month]
        loaded = standing.get(month)
        good: list[Delivery] = []
        waits: Delivery | None = None
        for one in sorted(mine, key=age, reverse=True):
            if loaded and age(loaded) > age(one):
                changed.append(one.at(SUPERSEDED, "older_than_loaded", loaded.delivery_id))
                continue
            before = known.get(one.delivery_id)
            if waits:
                if before is None:
                    changed.append(one.at(SUPERSEDED, "newer_delivery", waits.delivery_id))
                continue
            if good and not (before and before.state == LOADED):  # until the newer one is accepted
                changed.append(one.at(SUPERSEDED, "newer_delivery", good[0].delivery_id))
            if again and loaded and good and partial.is_told_empty(known.get(good[0].delivery_id)):
                continue
            if one.delivery_id not in waiting:
                good.append(one)
            elif before and before.reason in OF_THE_MONTH:
                waits = one
        chosen += [good] if good else []
    return chosen, changed
