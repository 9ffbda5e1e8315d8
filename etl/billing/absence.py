"""Deliveries that stay away: whether somebody must be told of a contract that brings nothing complete.

A contract that is shipped and was never used is silent: it has no delivery, and nothing lies where it looks. So is
one to which only history was brought: an export that runs delivers open months, soon after it wrote them.
"""

from datetime import datetime, timedelta
from pathlib import Path

from etl.billing import contract as billing_contract
from etl.billing import delivery
from etl.billing.contract import BillingContract
from etl.billing.delivery import COMPLETE, LOADED, SUPERSEDED, Delivery
from etl.store import Store


def overdue(
    landing: Store, contracts: Path, contract: BillingContract, known: list[Delivery], now: datetime
) -> str | None:
    """Why somebody must look at a contract, given the deliveries that the ledger knows; or None."""
    came = [one for one in known if one.state in (COMPLETE, LOADED, SUPERSEDED)]
    if came and max(came, key=lambda one: one.submitted_at).reason == "taken_over":
        return None  # its successor is watched
    complete = [one.submitted_at for one in came]
    in_time = [one.submitted_at for one in known if is_in_time(contract, one)]
    if complete and not in_time:
        return None
    if complete:
        since, last = max(*complete, min(in_time)), f"the last one is of {max(complete)} UTC"
    elif first := _first(landing, contracts, contract, known):
        since, last = first, f"none ever was, though objects land since {first} UTC"
    else:
        return None
    hours = contract.discovery.alarm_after_hours
    if now - since <= timedelta(hours=hours):
        return None
    return (
        f"{contract.stream}: no complete delivery for {hours} hours, {last}: look at the provider's export; "
        "where the contract is no longer used, remove it"
    )


def is_in_time(contract: BillingContract, one: Delivery) -> bool:
    """Whether it came as an export that runs brings it; unknown of one from before that was written down."""
    rule = contract.discovery
    return one.landed_at is None or (
        one.landed_at - one.submitted_at <= timedelta(hours=rule.alarm_after_hours)
        and delivery.is_month(one.billing_period)  # a folder may say any
        and not delivery.is_closed(one.billing_period, one.landed_at, rule.closes_after_days)
    )


def _first(
    landing: Store, contracts: Path, contract: BillingContract, came: list[Delivery]
) -> datetime | None:
    """When the first thing came: a delivery, or whatever lies in the folder and makes none."""
    if came:
        return min(one.submitted_at for one in came)
    mine = contract.discovery.head
    known = billing_contract.readable(contracts, billing_contract.streams(contracts)).values()
    heads = [one.discovery.head for one in known if one.discovery.head != mine]
    others = tuple(head for head in heads if head.startswith(mine))
    aged = landing.aged(mine)
    return min((at for key, (at, *_) in aged.items() if not key.startswith(others)), default=None)
