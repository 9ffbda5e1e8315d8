"""Objects that are told by an id in their own names: where one lies in several places, its newest version counts."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from etl import sql, staged
from etl.billing import delivery
from etl.billing.contract import BillingContract
from etl.billing.delivery import LOADED, Delivery
from etl.billing.tables import CHARGE
from etl.release import Release
from etl.settings import Settings
from etl.store import Store

Moved = Mapping[str, frozenset[str]]  # delivery -> versions of the same object in other places


def is_same_object(contract: BillingContract, one: Delivery, other: Delivery) -> bool:
    """By name alone: the ids of two tenancies may be equal."""
    name = _name(one)
    same = name == _name(other) and one.place != other.place
    found = contract.discovery.object_id
    return found is not None and same and re.search(found, name) is not None


def versions(
    settings: Settings,
    lake: Store,
    contract: BillingContract,
    base: Release,
    loads: Iterable[dict],
    known: Iterable[Delivery],
    folder: Path,
) -> Moved:
    """Of each delivery of a run those that were loaded, or come with it, of the same object and the same account."""
    if contract.discovery.object_id is None:
        return {}
    accounts = {one["delivery"]["delivery_id"]: set(one["accounts"]) for one in loads}
    came = [delivery.from_json(one["delivery"]) for one in loads]
    loaded = [one for one in known if one.state == LOADED and one.delivery_id not in accounts]
    named: dict[str, list[Delivery]] = defaultdict(list)  # a first year brings thousands at once
    for one in [*loaded, *came]:
        named[_name(one)].append(one)
    found: dict[str, frozenset[str]] = {}
    for one in came:
        others = [other for other in named[_name(one)] if is_same_object(contract, one, other)]
        for other in others:
            if other.delivery_id not in accounts:
                accounts[other.delivery_id] = _accounts(settings, lake, base, other, folder)
        mine = accounts[one.delivery_id]
        same = {other.delivery_id for other in others if mine & accounts[other.delivery_id]}
        found[one.delivery_id] = frozenset(same)
    return found


def _name(one: Delivery) -> str:
    return one.place.rpartition("/")[2]


def _accounts(
    settings: Settings, lake: Store, base: Release, one: Delivery, folder: Path
) -> set[str]:
    """Billing accounts of a loaded delivery."""
    entries = staged.partitions(base, CHARGE.name, x_stream=one.stream, x_delivery=one.short_id)
    with sql.connect(settings) as engine:
        staged.give(engine, lake, "moved", CHARGE.name, entries, folder / one.short_id)
        rows = sql.rows(engine, "SELECT DISTINCT billing_account_id AS account FROM moved")
    return {row["account"] for row in rows}
