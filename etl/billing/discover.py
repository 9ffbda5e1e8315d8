"""Landing -> the deliveries that lie there, each judged by its provider's rule: complete or not, and why.

Nothing is read but manifests. A manifest's files are those it names, never those of its folder. Of what the ledger
has settled and a listing shows unchanged nothing is read at all.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from etl.billing import settled, stated
from etl.billing.contract import BillingContract
from etl.billing.delivery import COMPLETE, REJECTED, SEEN, Delivery, Refused, age
from etl.billing.settled import Found, Settled
from etl.errors import SourceError
from etl.store import Pinned, Store

HEADS_AT_ONCE = 8
Told = dict[str, tuple[str, datetime]]  # key -> (ETag, last modified)


@dataclass(frozen=True)
class Lying:
    """What lies in landing: every delivery by its id, and those that are not settled, oldest first."""

    there: frozenset[str]
    found: list[Delivery]


def discover(
    landing: Store,
    contract: BillingContract,
    known: Sequence[Delivery],
    now: datetime,
    again: bool = False,
) -> Lying:
    """Deliveries of a contract, and which of them `known` has not settled, or all `again`; their objects are pinned
    where they are complete."""
    where, pattern = contract.discovery, contract.discovery.regex
    listed = sorted(_listed(landing, where.head).items())
    # consoles write a placeholder `…/` for a folder that somebody makes: it is no object of a delivery
    told = {key: one for key, one in listed if pattern.fullmatch(key) and not key.endswith("/")}
    done = settled.settled(contract, () if again else known)
    if where.manifest:
        found = [_by_manifest(landing, contract, done, key, told, now) for key in told]
    elif where.marker:
        found = _by_folder(landing, contract, done, told)
    else:
        found = [_by_object(landing, contract, done, key, told, now) for key in told]
    by_id = settled.by_id(found, known)
    return Lying(frozenset(by_id), sorted((one for one in by_id.values() if one), key=age))


def _listed(landing: Store, head: str) -> Told:
    """Keys below a literal start of a path, however the folders after the first are spelled: a provider may
    write AWS/ one day and aws/ the next."""
    first, *others = head.split("/")[:-1] or [""]
    places = [f"{first}/" if first else ""]
    for name in others:
        below = (folder for place in places for folder in landing.folders(place))
        places = [one for one in below if one.split("/")[-2].lower() == name.lower()]
    found = (one for place in places for one in landing.aged(place).items())
    return {key: (etag, modified_at) for key, (modified_at, _, etag) in found}


def _by_manifest(
    landing: Store, contract: BillingContract, done: Settled, key: str, told: Told, now: datetime
) -> Found:
    etag, landed_at = told[key]
    if before := done.by_manifest(key, etag, landed_at):
        return before.delivery_id, None
    found = _read_manifest(landing, contract, key, now)
    return found.delivery_id, replace(found, landed_at=landed_at)


def _read_manifest(landing: Store, contract: BillingContract, key: str, now: datetime) -> Delivery:
    pinned = landing.pin(key)
    body = landing.read(key)
    found = Delivery(
        contract.stream,
        contract.provider,
        _period_of_path(contract, key) or pinned.delivered_at.strftime("%Y-%m"),
        f"{key}@{pinned.etag}",
        COMPLETE,
        pinned.delivered_at,
        schema_version=contract.version,
        manifest_key=key,
        manifest_etag=pinned.etag,
    )
    try:
        document = json.loads(body.data if body else b"")
        found = _stated(landing, contract, document, found)
        _refuse_rewritten(contract, found, pinned, now)
        return found
    except Refused as problem:
        return found.at(problem.state, problem.reason, problem.detail)
    except (ValueError, RecursionError) as error:
        return found.at(REJECTED, "manifest_not_readable", str(error)[:200])


def _stated(landing: Store, contract: BillingContract, document: Any, found: Delivery) -> Delivery:
    """What a manifest says of its delivery, checked against what lies in landing."""
    keys = contract.discovery.manifest
    assert keys is not None
    values: dict[str, Any] = {
        "delivery_id": str(stated.get(document, keys.id) or found.delivery_id),
        "billing_period": stated.period(stated.get(document, keys.period_start))
        or found.billing_period,
        "submitted_at": stated.moment(stated.get(document, keys.submitted)) or found.submitted_at,
        "rows_stated": stated.count(stated.get(document, keys.total_rows)),
    }
    found = replace(found, **values)
    try:
        stated.refuse_scope(contract, document)
        entries = stated.get(document, keys.objects)
        if not isinstance(entries, list):
            raise Refused("manifest_not_readable", f"{keys.objects} is no list")
        if found.rows_stated is None:
            found = replace(found, rows_stated=stated.total(entries, keys.rows))
        parts = _parts(landing, contract, entries)
    except Refused as problem:
        return found.at(problem.state, problem.reason, problem.detail)
    size = sum(one.size_bytes for one in parts)
    return replace(found, parts=parts, objects=len(parts), bytes=size)


def _parts(landing: Store, contract: BillingContract, entries: list) -> tuple[Pinned, ...]:
    keys = contract.discovery.manifest
    assert keys is not None
    names = [str(stated.get(one, keys.name) if keys.name else one) for one in entries]
    prefix = landing.location.prefix
    objects = [stated.key(name, contract.discovery, prefix) for name in names]
    if len(set(objects)) < len(names):
        twice = next(one for one in objects if objects.count(one) > 1)
        raise Refused("repeated_object", f"the manifest names {twice} twice")
    found = _pin(landing, objects)
    for entry, pinned in zip(entries, found, strict=True):
        size = stated.count(stated.get(entry, keys.bytes))
        if size is not None and size != pinned.size_bytes:
            detail = f"{pinned.key} has {pinned.size_bytes} bytes, the manifest says {size}"
            raise Refused("object_size", detail, SEEN)
    return tuple(found)


def _refuse_rewritten(
    contract: BillingContract, found: Delivery, manifest: Pinned, now: datetime
) -> None:
    """A manifest comes after its objects: newer ones in their places are of the delivery that is being written
    (docs.aws.amazon.com/cur/latest/userguide/dataexports-export-delivery.html), or were copied in another order."""
    where = contract.discovery
    newest = max((one.delivered_at for one in found.parts), default=manifest.delivered_at)
    stable = newest + timedelta(minutes=where.stable_minutes)
    if where.overwrites and newest > manifest.delivered_at and now < stable:
        raise Refused("objects_newer", f"until {stable}, or until its manifest is written", SEEN)


def _pin(landing: Store, keys: Iterable[str]) -> list[Pinned]:
    try:
        with ThreadPoolExecutor(HEADS_AT_ONCE) as pool:
            return list(pool.map(landing.pin, keys))
    except SourceError as error:  # the object that a manifest names is not there yet
        raise Refused("object_missing", str(error), SEEN) from error


def _by_folder(landing: Store, contract: BillingContract, done: Settled, told: Told) -> list[Found]:
    """One delivery a folder, complete once its marker lies beside the objects."""
    marker = contract.discovery.marker
    folders: dict[str, list[str]] = {}
    for key in told:
        if not key.endswith(f"/{marker}"):
            folders.setdefault(key.rpartition("/")[0], []).append(key)
    found: list[Found] = []
    for folder, names in sorted(folders.items()):
        mark = f"{folder}/{marker}"
        landed_at = _landed_at([*names, mark] if mark in told else names, told)
        delivery_id = _id(folder, ((key, told[key][0]) for key in names))
        if before := done.by_objects(delivery_id, landed_at):
            found.append((before.delivery_id, None))
            continue
        one = _standing_for_itself(contract, folder, tuple(_pin(landing, names)))
        one = replace(one, landed_at=landed_at)
        if body := landing.read(mark):  # as new as its marker: an object may have gone
            submitted_at = max(one.submitted_at, landing.pin(mark).delivered_at)
            one = replace(one, rows_stated=stated.rows(body.data), submitted_at=submitted_at)
        else:
            one = one.at(SEEN, "no_marker", mark)
        found.append((one.delivery_id, one))
    return found


def _by_object(
    landing: Store, contract: BillingContract, done: Settled, key: str, told: Told, now: datetime
) -> Found:
    """An object that stands for itself; complete once it has not changed for a while."""
    if before := _unchanged(done, key, [key], told):
        return before.delivery_id, None
    pinned = landing.pin(key)
    one = replace(_standing_for_itself(contract, key, (pinned,)), landed_at=told[key][1])
    stable = pinned.delivered_at + timedelta(minutes=contract.discovery.stable_minutes)
    return one.delivery_id, one if now >= stable else one.at(SEEN, "not_stable", f"until {stable}")


def _unchanged(done: Settled, place: str, keys: Sequence[str], told: Told) -> Delivery | None:
    delivery_id = _id(place, ((key, told[key][0]) for key in keys))
    return done.by_objects(delivery_id, _landed_at(keys, told))


def _landed_at(keys: Sequence[str], told: Told) -> datetime:
    return max(told[key][1] for key in keys)


def _standing_for_itself(
    contract: BillingContract, place: str, parts: tuple[Pinned, ...]
) -> Delivery:
    arrived = max(one.delivered_at for one in parts)
    return Delivery(
        contract.stream,
        contract.provider,
        _period_of_path(contract, parts[0].key) or arrived.strftime("%Y-%m"),
        _id(place, ((one.key, one.etag) for one in parts)),
        COMPLETE,
        arrived,
        schema_version=contract.version,
        objects=len(parts),
        bytes=sum(one.size_bytes for one in parts),
        parts=parts,
    )


def _id(place: str, versions: Iterable[tuple[str, str]]) -> str:
    """Of a place and what lies there, key and ETag of each object."""
    text = "\n".join(f"{key} {etag}" for key, etag in versions)
    return f"{place}@{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _period_of_path(contract: BillingContract, key: str) -> str | None:
    match = contract.discovery.regex.fullmatch(key)
    groups = match.groupdict() if match else {}
    return f"{groups['yyyy']}-{groups['MM']}" if {"yyyy", "MM"} <= groups.keys() else None
