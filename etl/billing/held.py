"""Deliveries that wait: complete, and refused for what else is known of their month, until somebody acts.

Such a delivery is looked at on each run, and read again only where something that it was held against is another.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from etl.billing.contract import BillingContract
from etl.billing.delivery import COMPLETE, Delivery, Refused
from etl.billing.tables import CHARGE_DAILY
from etl.release import Release


def waiting(
    contract: BillingContract,
    base: Release,
    complete: Iterable[Delivery],
    known: Iterable[Delivery],
    rules: Sequence[str],
) -> set[str]:
    """Of complete deliveries the ids of those that would be refused as they were. `rules` is what else judges a
    month."""
    of_id = {one.delivery_id: one for one in known if one.state == COMPLETE and one.held_against}
    judged = [one.delivery_id for one in complete]
    before = [of_id[name] for name in judged if name in of_id]
    return {
        one.delivery_id
        for one in before
        if one.held_against == _again(contract, base, one, judged, rules)
    }


def refused(
    contract: BillingContract,
    base: Release,
    billing_period: str,
    judged: Iterable[str],
    touching: Iterable[Delivery],
    why: Refused,
    rules: Sequence[str],
) -> dict[str, Delivery]:
    """The ledger rows of deliveries that touch a refused month: none of them is loaded by half."""
    held = _against(contract, base, billing_period, judged, rules)
    return {
        one.delivery_id: replace(one.at(why.state, why.reason, why.detail), held_against=held)
        for one in touching
    }


def messages(known: Iterable[Delivery], billing_period: str | None = None) -> list[str]:
    """What is to be done for the deliveries of a ledger that wait, of all months or of one."""
    wanted = (one for one in known if billing_period in (None, one.billing_period))
    return sorted({one.detail for one in wanted if one.state == COMPLETE and one.detail})


def _again(
    contract: BillingContract,
    base: Release,
    one: Delivery,
    judged: Iterable[str],
    rules: Sequence[str],
) -> str | None:
    billing_period, _, _ = (one.held_against or "").partition(" ")
    return _against(contract, base, billing_period, judged, rules)


def _against(
    contract: BillingContract,
    base: Release,
    billing_period: str,
    judged: Iterable[str],
    rules: Sequence[str],
) -> str:
    """The month, and a hash of all that decides whether it is refused: what a release holds of it, the contract
    and what it takes over, the mapping, the expectations, and the deliveries that add to it together."""
    of_month = {"provider": contract.provider, "billing_period": billing_period}
    entries = base.partitions(CHARGE_DAILY.name, **of_month)
    files = {name: [file["sha256"] for file in entry["files"]] for name, entry in entries.items()}
    together = sorted(judged) if contract.discovery.kind == "append" else []
    told = [contract.version, contract.complements, *rules]
    said = json.dumps([told, together, files], sort_keys=True)
    return f"{billing_period} {hashlib.sha256(said.encode()).hexdigest()}"
