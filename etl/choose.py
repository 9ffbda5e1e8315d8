"""Which deliveries to load, and what becomes of those that are not: the rule of one truth a month.

A month is replaced whole by its newest complete delivery; an older, partial, empty or equal one never replaces
what is loaded. Where deliveries append, each is loaded once; an object that was replaced takes its rows back.
"""

from collections.abc import Iterable

from etl.billing_contract import BillingContract
from etl.delivery import COMPLETE, LOADED, REJECTED, SUPERSEDED, Delivery, is_settled


def choose(
    contract: BillingContract,
    found: Iterable[Delivery],
    known: Iterable[Delivery],
    billing_period: str | None = None,
) -> tuple[list[Delivery], list[Delivery]]:
    """(deliveries to load, ledger rows that changed without being loaded). With `billing_period` only of
    that month, and what is loaded of it already is loaded again."""
    of_id = {one.delivery_id: one for one in known}
    open_ones, changed = [], []
    for one in found:
        if billing_period and one.billing_period != billing_period:
            continue
        before = of_id.get(one.delivery_id)
        if before and _is_settled(contract, before, one, again=billing_period is not None):
            continue
        if one.state == COMPLETE:
            open_ones.append(one)
        elif before is None or (one.state, one.detail) != (before.state, before.detail):
            changed.append(one)
    if contract.discovery.kind == "append":
        return _last_of_each_place(open_ones, changed)
    return _newest(open_ones, list(of_id.values()), changed)


def accept(contract: BillingContract, done: Delivery, known: Iterable[Delivery]) -> Delivery:
    """What becomes of a delivery once its rows were read, given what is loaded of its month."""
    if done.state != LOADED:
        return done
    if contract.discovery.kind == "append":
        return _unless_copied(done, known)
    for old in replaced(contract, done, known):
        if old.content_hash == done.content_hash:
            return done.at(SUPERSEDED, "same_content", old.delivery_id)
        if old.rows and not done.rows:
            return done.at(REJECTED, "empty", f"{old.rows} rows are loaded")
        if old.last_day and done.last_day and done.last_day < old.last_day:
            detail = f"ends on {done.last_day}, what is loaded on {old.last_day}"
            return done.at(REJECTED, "partial_month", detail)
    return done


def _unless_copied(done: Delivery, known: Iterable[Delivery]) -> Delivery:
    """The bytes of one that is loaded, landed in another place, add nothing."""
    for other in {one.delivery_id: one for one in known}.values():
        same = other.content_hash == done.content_hash and other.place != done.place
        if done.rows and other.state == LOADED and same:
            return done.at(SUPERSEDED, "same_content", other.delivery_id)
    return done


def replaced(
    contract: BillingContract, done: Delivery, known: Iterable[Delivery]
) -> list[Delivery]:
    """Loaded deliveries whose rows this one takes the place of."""
    loaded = [one for one in known if one.state == LOADED and one.delivery_id != done.delivery_id]
    if contract.discovery.kind == "append":
        return [one for one in loaded if one.place == done.place]
    return [one for one in loaded if one.billing_period == done.billing_period]


def taken_back(
    contract: BillingContract, done: Delivery, known: Iterable[Delivery]
) -> list[Delivery]:
    """Deliveries whose rows go: what a loaded one replaces; what lay in the place of a copy, and its own rows from
    before it was told to be one."""
    if done.state == LOADED:
        return replaced(contract, done, known)
    if done.state == SUPERSEDED and contract.discovery.kind == "append":
        return [*replaced(contract, done, known), done]
    return []


def _is_settled(contract: BillingContract, before: Delivery, now: Delivery, again: bool) -> bool:
    """What is asked for again is judged again, less what was replaced."""
    if again and before.state != SUPERSEDED:
        return False
    return is_settled(before, contract.version, now.submitted_at)


def _last_of_each_place(
    open_ones: list[Delivery], changed: list[Delivery]
) -> tuple[list[Delivery], list[Delivery]]:
    """What lies there under two spellings of one path is one delivery: the last."""
    last = {one.place: one for one in sorted(open_ones, key=_age)}
    chosen = [one for one in open_ones if one is last[one.place]]
    others = (one for one in open_ones if one is not last[one.place])
    older = [one.at(SUPERSEDED, "newer_delivery", last[one.place].delivery_id) for one in others]
    return chosen, changed + older


def _newest(
    open_ones: list[Delivery], known: list[Delivery], changed: list[Delivery]
) -> tuple[list[Delivery], list[Delivery]]:
    """The newest complete delivery of each month, unless what is loaded is newer."""
    chosen: list[Delivery] = []
    for month in sorted({one.billing_period for one in open_ones}):
        mine = [one for one in open_ones if one.billing_period == month]
        newest = max(mine, key=_age)
        loaded = [one for one in known if one.billing_period == month and one.state == LOADED]
        for one in mine:
            newer = [other for other in loaded if _age(other) > _age(one)]
            if newer:
                changed.append(one.at(SUPERSEDED, "older_than_loaded", newer[0].delivery_id))
            elif one is newest:
                chosen.append(one)
            else:
                changed.append(one.at(SUPERSEDED, "newer_delivery", newest.delivery_id))
    return chosen, changed


def _age(one: Delivery) -> tuple:
    return one.submitted_at, one.delivery_id
