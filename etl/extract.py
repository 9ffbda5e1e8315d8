"""Landed objects -> manifest: what lies in landing for a date, and what no manifest covers yet, pinned.

From here on the manifest is the input, not the folder: later reads take exactly the pinned bytes or fail.
"""

import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta

from etl import unread, whole
from etl.contract import Contract
from etl.discovery import Listing, key_date, listing
from etl.errors import SourceError, UnstableLanding
from etl.manifest import Landed
from etl.store import Pinned, Store
from etl.unread import Unread
from etl.whole import Covered

LISTINGS = 4
PAUSE_SECONDS = 2.0
HEADS_AT_ONCE = 8
COUNTER_LIMIT = 1 << 62  # no producer counts so far; what stands there is a name, not a counter


@dataclass(frozen=True)
class Found:
    """Landed dates to make whole, their objects sorted by key, and what could not even be pinned."""

    dates: set[date]
    objects: list[Landed]
    unread: list[Unread]


def extract(landing: Store, contract: Contract, landed: date, covered: Covered) -> Found:
    """What to read: all objects of landed date `landed`, and all of each earlier date of the look-back
    window that holds an object which no manifest covers in its present version.

    Raises UnstableLanding while objects keep changing, SourceError where a covered object of `landed` is gone, or
    of any date that is due where keys hold none.
    """
    dates = window(contract, landed)
    return _while_stable(
        landing,
        contract,
        dates,
        lambda found: _pin_due(landing, contract, found, landed, dates, covered),
    )


def window(contract: Contract, landed: date) -> set[date]:
    """Landed dates that a run of landed date `landed` looks at: its own and those of the look-back window."""
    return {landed - timedelta(days=n) for n in range(contract.discovery.late_window_days + 1)}


def lost(
    landing: Store, contract: Contract, landed: date, ledger: Iterable[Unread]
) -> list[Unread]:
    """Of what could not be read, that which is not there any more and to which no run looks back any more."""
    start, known = min(window(contract, landed)), contract.discovery.regex
    old = [
        one
        for one in ledger
        if one.landed_date < start and one.reason != unread.LOST and known.fullmatch(one.key)
    ]
    dates = {key_date(contract, one.key) or one.landed_date for one in old}
    there = listing(landing, contract, dates) if old else {}
    return [_lost(contract, one) for one in old if one.key not in there]


def _lost(contract: Contract, one: Unread) -> Unread:
    said = (
        "it was gone before a run could read it, and no run looks back to its date any more: have its producer "
        "deliver it again"
    )
    if contract.discovery.dated:
        said += f", then run `usage-export ingest {contract.stream} --landed {one.landed_date}`"
    return replace(one, reason=unread.LOST, said=said)


def again(landing: Store, contract: Contract, dates: set[date], covered: Covered) -> list[Landed]:
    """All objects of these landed dates, read before or not, sorted by key.

    Raises as `extract` does, where one object cannot be pinned, and SourceError where an object has left
    one of the dates or joined it since it was read: what landed elsewhere is for an ingest to read first.
    """
    return _while_stable(
        landing, contract, dates, lambda found: _pin_dates(landing, contract, found, dates, covered)
    ).objects


def _while_stable(
    landing: Store, contract: Contract, dates: set[date], pin: Callable[[Listing], Found]
) -> Found:
    """Pin between two listings that must be equal."""
    for attempt in range(LISTINGS):
        before = listing(landing, contract, dates)
        found = pin(before)
        after = listing(landing, contract, dates)
        if moved := _moved(before, after, found.objects):
            time.sleep(PAUSE_SECONDS * attempt)
            continue
        unread.refuse_outage(found.unread, len(found.objects))
        return found
    raise UnstableLanding(
        f"{contract.stream}: landing kept changing while it was listed, last at {min(moved)}: "
        "run again when the producer has finished"
    )


def uncovered(contract: Contract, found: Listing, covered: Covered) -> list[str]:
    """Keys whose present version no manifest covers."""
    read = {key: etag for objects in covered.values() for key, etag in objects.items()}
    return sorted(key for key, (etag, _) in found.items() if read.get(key) != etag)


def _pin_due(
    landing: Store,
    contract: Contract,
    found: Listing,
    landed: date,
    dates: set[date],
    covered: Covered,
) -> Found:
    missed: list[Unread] = []

    def pin(keys: Iterable[str]) -> list[Landed]:
        pinned, failed = _pin(landing, contract, found, keys, landed, covered)
        missed.extend(failed)
        return pinned

    new = uncovered(contract, found, covered)
    if contract.discovery.dated:
        due = {landed} | {day for key in new if (day := key_date(contract, key)) is not None}
        missed += whole.withheld(landing, contract, found, new, due - {landed}, covered)
        due -= {one.landed_date for one in missed}
        arrived = objects = pin(key for key in found if key_date(contract, key) in due)
    else:
        arrived = pin(new)
        due = {landed} | {one.landed_date for one in arrived if one.landed_date in dates}
        # an object that was replaced leaves the date that held it
        due |= {day for day, objects in covered.items() if not objects.keys().isdisjoint(new)}
        old = [
            key for day in due for key in covered.get(day, {}) if key in found and key not in new
        ]
        objects = [one for one in arrived if one.landed_date in due] + pin(old)
    moved = [one.pinned.key for one in objects if one.landed_date not in due]
    if moved:
        raise SourceError(
            f"{landing.location.url(min(moved))} has another arrival than when it was read: give it "
            "back its metadata delivered-at, as the table manifest holds it, so that its dates stay whole"
        )
    there = {one.pinned.key for one in objects + arrived} | {one.key for one in missed}
    whole.refuse_vanished(landing, contract, there, due, covered)
    return Found(due, sorted(objects, key=lambda one: one.pinned.key), missed)


def _pin_dates(
    landing: Store, contract: Contract, found: Listing, dates: set[date], covered: Covered
) -> Found:
    read = {key: day for day, objects in covered.items() for key in objects}
    new = uncovered(contract, found, covered)
    keys = found  # without dates in keys, those that may belong to one of the dates
    if not contract.discovery.dated:
        keys = {key: found[key] for key in {*new, *(k for k in found if read.get(k) in dates)}}
    with ThreadPoolExecutor(HEADS_AT_ONCE) as pool:
        heads = pool.map(landing.pin, sorted(keys))
        pinned = [_landed(contract, one) for one in heads]
    for one in pinned:
        days = {one.landed_date, read.get(one.pinned.key, one.landed_date)}
        if len(days) > 1 and days & dates:
            # the same bytes, put again: no ingest reads them anew
            ingest = (
                f"run `usage-export ingest {contract.stream} --landed {one.landed_date}` first, or "
            )
            raise SourceError(
                f"{landing.location.url(one.pinned.key)} was read for landed date "
                f"{read[one.pinned.key]} and now belongs to {one.landed_date}: "
                f"{ingest if one.pinned.key in new else ''}give it back its metadata delivered-at, as the table "
                "manifest holds it"
            )
    objects = [one for one in pinned if one.landed_date in dates]
    whole.refuse_vanished(landing, contract, {one.pinned.key for one in objects}, dates, covered)
    return Found(dates, sorted(objects, key=lambda one: one.pinned.key), [])


def _pin(
    landing: Store,
    contract: Contract,
    found: Listing,
    keys: Iterable[str],
    landed: date,
    covered: Covered,
) -> tuple[list[Landed], list[Unread]]:
    """Objects as a run will read them, and those of which the store does not say what they are."""
    missed: list[Unread] = []

    def head(key: str) -> Landed | None:
        try:
            return _landed(contract, landing.pin(key))
        except unread.OF_ONE_OBJECT as error:
            held = [day for day, objects in sorted(covered.items()) if key in objects]
            day = key_date(contract, key) or (held or [landed])[0]
            missed.append(Unread(day, key, found[key][0], unread.reason(error), str(error)))
            unread.refuse_outage(missed)
            return None

    with ThreadPoolExecutor(HEADS_AT_ONCE) as pool:
        pinned = [one for one in pool.map(head, sorted(keys)) if one]
    return pinned, sorted(missed, key=lambda one: one.key)


def _landed(contract: Contract, pinned: Pinned) -> Landed:
    day = key_date(contract, pinned.key) or pinned.delivered_at.date()
    counter = contract.sequence
    match = re.search(counter.pattern, pinned.key) if counter and counter.contiguous else None
    counts = match is not None and (match["first"] or "").isdecimal()
    first = int(match["first"]) if match and counts else COUNTER_LIMIT
    if match is None or first >= COUNTER_LIMIT:
        return Landed(pinned, day, None, None)
    return Landed(pinned, day, match["scope"], first)


def _moved(before: Listing, after: Listing, objects: list[Landed]) -> set[str]:
    """Keys that came, went or changed between the listings, or were pinned as something else."""
    differ = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    pinned = {
        one.pinned.key
        for one in objects
        if after.get(one.pinned.key, ("", 0))[0] != one.pinned.etag
    }
    return differ | pinned
