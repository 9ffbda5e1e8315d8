"""Deliveries that wait for somebody to act: complete, and refused for what else is known of their month; or rejected,
or incomplete for long, while nothing has come after them.

One that is complete is looked at on each run, and read again only where something that it was held against is another.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from etl.billing import absence
from etl.billing.contract import BillingContract
from etl.billing.delivery import (
    COMPLETE,
    LOADED,
    REJECTED,
    SEEN,
    SUPERSEDED,
    Delivery,
    Refused,
    age,
)
from etl.billing.tables import CHARGE_DAILY
from etl.release import Release

# what somebody must do something for; others end by themselves
UNFINISHED = ("object_missing", "object_size", "no_marker")
# rejected for what a manifest says: another data set, or part of a month, as exports beside the contract's own write
NOT_MEANT = (
    "dataset_version",
    "foreign_dataset",
    "foreign_bucket",
    "partial_month",
    "several_months",
)


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


def messages(
    contract: BillingContract, known: Iterable[Delivery], billing_period: str | None = None
) -> list[str]:
    """What is to be done for the deliveries of a ledger that wait, of all months or of one."""
    rows = [one for one in known if billing_period in (None, one.billing_period)]
    held = {one.detail for one in rows if one.state == COMPLETE and one.detail}
    return sorted(held | {_told(one) for one in rows if _is_missing(contract, one, rows)})


def unfinished(
    contract: BillingContract,
    known: Sequence[Delivery],
    now: datetime,
    taken_over: Collection[str],
) -> list[str]:
    """What is to be done for what never became complete: those that come after it are no sign of it. Of months that
    another contract took over nothing is missing, nor is history that was brought in later."""
    hours = contract.discovery.alarm_after_hours
    since = {one.delivery_id: one.landed_at or one.submitted_at for one in known}
    return [
        f"{one.stream} {one.billing_period}: {one.delivery_id} landed at {since[one.delivery_id]} UTC, and is not "
        f"complete after {hours} hours ({one.reason}: {one.detail}): let the rest of it land, or remove it from landing"
        for one in known
        if one.state == SEEN and one.reason in UNFINISHED and one.billing_period not in taken_over
        if not _is_followed(contract, one, known) and absence.is_in_time(contract, one)
        if now - since[one.delivery_id] > timedelta(hours=hours)
    ]


def vanished(
    contract: BillingContract,
    known: Sequence[Delivery],
    there: Collection[str],
    billing_period: str | None,
) -> list[Delivery]:
    """Ledger rows of what waited, and no longer lies where it lay: nobody waits for it."""
    gone = [
        one
        for one in known
        if one.delivery_id not in there and billing_period in (None, one.billing_period)
    ]
    return [
        one.at(SEEN, "vanished") for one in gone if _waits(one) or _is_missing(contract, one, known)
    ]


def _waits(one: Delivery) -> bool:
    """Seen without a reason: a way back was opened to it, which its reader sees to."""
    return one.state == COMPLETE or (one.state == SEEN and one.reason not in (None, "vanished"))


def _is_missing(contract: BillingContract, one: Delivery, known: Iterable[Delivery]) -> bool:
    """Rejected for what it holds, and nothing came after it."""
    if one.state != REJECTED or _is_not_meant(one):
        return False
    return not _is_followed(contract, one, known)


def _is_followed(contract: BillingContract, one: Delivery, known: Iterable[Delivery]) -> bool:
    """Whether something newer of its month, or of its place where deliveries add, was judged, or its month went over
    to another contract."""
    if contract.discovery.kind == "append":
        others = [other for other in known if other.place == one.place]
    else:
        others = [other for other in known if other.billing_period == one.billing_period]
    return any(
        age(other) > age(one) or other.reason == "taken_over"
        for other in others
        if other.state in (LOADED, SUPERSEDED, REJECTED) and not _is_not_meant(other)
    )


def _is_not_meant(one: Delivery) -> bool:
    """Rejected before its rows were read: whether one ends before what is loaded is judged after that."""
    return one.reason in NOT_MEANT and one.rows is None


def _told(one: Delivery) -> str:
    detail = one.detail or ""
    again = f"usage-export billing ingest {one.stream} --period {one.billing_period}"
    what = "contract, or an object that the manifest names," if one.manifest_key else "contract"
    key = one.manifest_key or ""
    of = f" of {key}" if key and one.place != key.lower() else ""
    mended = f"; where the {what} was mended, ask for its month by name: {again}"
    return (
        f"{one.stream} {one.billing_period}: {one.delivery_id}{of} was rejected ({one.reason}: {detail}), and nothing "
        "has come after it: let the provider write it again, land it mended, or remove it from landing"
        f"{'' if again in detail else mended}"
    )


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
