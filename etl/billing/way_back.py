"""The way back to an older delivery of a month: where the newer one is refused, or no longer lies in landing.

A month stays with its newest good delivery. It goes back by itself only to what stood before a delivery that never
was loaded; from one that was loaded and is withdrawn it goes back where somebody asks for the month by name.
"""

from collections.abc import Iterable, Mapping, Sequence

from etl.billing import partial
from etl.billing.contract import BillingContract
from etl.billing.delivery import COMPLETE, LOADED, REJECTED, SEEN, SUPERSEDED, Delivery, age, stands

GAVE_WAY = ("newer_delivery", "older_than_loaded", "withdrawn")


def reopened(contract: BillingContract, known: Iterable[Delivery]) -> list[Delivery]:
    """A ledger in which a delivery that gave way is only seen, where no newer one of its month is loaded."""
    rows = list(known)
    if contract.discovery.kind == "append":
        return rows
    standing = stands(rows)
    return [one.at(SEEN) if _is_open(one, standing) else one for one in rows]


def _is_open(one: Delivery, standing: Mapping[str, Delivery]) -> bool:
    newer = standing.get(one.billing_period)
    gave_way = one.state == SUPERSEDED and one.reason in GAVE_WAY
    return gave_way and (newer is None or age(newer) < age(one))


def withdrawn(
    contract: BillingContract,
    known: Iterable[Delivery],
    found: Iterable[Delivery],
    there: Iterable[str],
) -> dict[str, tuple[Delivery, Delivery]]:
    """Loaded deliveries that no longer lie in landing, by id, each with its month's newest older one that does.
    None of a month of which something newer lies there: that is judged as ever."""
    if contract.discovery.kind == "append":
        return {}
    of_id = {one.delivery_id: one for one in known}
    lying = of_id | {one.delivery_id: one for one in found}
    here = [lying[name] for name in there if name in lying]
    pairs = {}
    for gone in of_id.values():
        if gone.state == LOADED and gone.delivery_id not in there:
            of_month = [one for one in here if one.billing_period == gone.billing_period]
            good = [one for one in of_month if one.state not in (SEEN, REJECTED)]
            if good and all(age(one) < age(gone) for one in of_month if one.state != REJECTED):
                pairs[gone.delivery_id] = gone, max(good, key=age)
    return pairs


def given_up(
    contract: BillingContract, known: Iterable[Delivery], gone: Iterable[str]
) -> list[Delivery]:
    """A ledger in which what was withdrawn no longer stands, so that an older delivery can be chosen."""
    names = set(gone)
    rows = [one.at(SUPERSEDED, "withdrawn") if one.delivery_id in names else one for one in known]
    return reopened(contract, rows)


def told(contract: BillingContract, gone: Delivery, older: Delivery) -> Delivery:
    """The ledger row of an older delivery that could take the place of one that was withdrawn."""
    month = f"{contract.stream} {gone.billing_period}"
    return older.at(
        COMPLETE,
        "newer_withdrawn",
        f"{month}: {gone.delivery_id}, which is loaded, no longer lies in landing, and the older "
        f"{older.delivery_id} does: where the newer one was withdrawn, ask for the month by name: usage-export "
        f"billing ingest {contract.stream} --period {gone.billing_period}; else put it back, or remove the older one",
    )


def judged(read: Sequence[Delivery]) -> list[Delivery]:
    """What becomes of deliveries of one month that were read one after another, newest first, until one of them
    was good: no empty one stands where an older one has rows."""
    loaded = [one for one in read if one.state == LOADED]
    best = next((one for one in loaded if one.rows), loaded[0] if loaded else None)
    outcomes = []
    for one in read:
        if best is None or one.state != LOADED or one is best:
            outcomes.append(one)
        elif best.rows:
            outcomes.append(partial.empty(one, f"{best.rows} rows are in {best.delivery_id}"))
        else:
            outcomes.append(one.at(SUPERSEDED, "newer_delivery", best.delivery_id))
    return outcomes
