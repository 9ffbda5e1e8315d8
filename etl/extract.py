"""Landed objects -> manifest: what lies in landing for a date, and what no manifest covers yet, pinned.

From here on the manifest is the input, not the folder: later reads take exactly the pinned bytes or fail.
"""

import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

from etl.contract import Contract
from etl.errors import SourceError, UnstableLanding
from etl.manifest import Landed
from etl.store import Pinned, Store

LISTINGS = 4
PAUSE_SECONDS = 2.0
HEADS_AT_ONCE = 8
COUNTER_LIMIT = 1 << 62  # no producer counts so far; what stands there is a name, not a counter
Listing = dict[str, tuple[str, int]]
Covered = dict[date, dict[str, str]]  # landed date -> key -> ETag


def extract(landing: Store, contract: Contract, landed: date, covered: Covered) -> list[Landed]:
    """Objects to read, sorted by key: all of landed date `landed`, and all of each earlier date of the
    look-back window that holds an object which no manifest covers in its present version.

    Raises UnstableLanding while objects keep changing, SourceError where a covered object is gone.
    """
    dates = {landed - timedelta(days=n) for n in range(contract.discovery.late_window_days + 1)}
    return _while_stable(
        landing,
        contract,
        dates,
        lambda found: _pin_due(landing, contract, found, landed, dates, covered),
    )


def again(landing: Store, contract: Contract, dates: set[date], covered: Covered) -> list[Landed]:
    """All objects of these landed dates, read before or not, sorted by key.

    Raises as `extract` does, and SourceError where an object has left one of the dates or joined it since
    it was read: what landed elsewhere is for an ingest to read first.
    """
    return _while_stable(
        landing, contract, dates, lambda found: _pin_dates(landing, contract, found, dates, covered)
    )


def _while_stable(
    landing: Store, contract: Contract, dates: set[date], pin: Callable[[Listing], list[Landed]]
) -> list[Landed]:
    """Pin between two listings that must be equal."""
    for attempt in range(LISTINGS):
        before = listing(landing, contract, dates)
        objects = pin(before)
        after = listing(landing, contract, dates)
        if moved := _moved(before, after, objects):
            time.sleep(PAUSE_SECONDS * attempt)
            continue
        return objects
    raise UnstableLanding(
        f"{contract.stream}: landing kept changing while it was listed, last at {_first(moved)}: "
        "run again when the producer has finished"
    )


def listing(landing: Store, contract: Contract, dates: Iterable[date] | None = None) -> Listing:
    """key -> (ETag, size) of all objects of a contract, for dated layouts of these dates only."""
    pattern = contract.discovery.regex
    found: Listing = {}
    for prefix in sorted(_prefixes(contract, dates)):
        found |= {k: v for k, v in landing.list(prefix).items() if pattern.fullmatch(k)}
    if contract.discovery.dated and dates is not None:
        wanted = set(dates)
        found = {k: v for k, v in found.items() if key_date(contract, k) in wanted}
    return found


def uncovered(contract: Contract, found: Listing, covered: Covered) -> list[str]:
    """Keys whose present version no manifest covers."""
    read = {key: etag for objects in covered.values() for key, etag in objects.items()}
    return sorted(key for key, (etag, _) in found.items() if read.get(key) != etag)


def unmatched(landing: Store, contracts: Iterable[Contract]) -> list[str]:
    """Keys below the places that contracts name which no contract's path matches: nobody reads them."""
    known = list(contracts)
    keys = {key for one in known for prefix in _prefixes(one, None) for key in landing.list(prefix)}
    patterns = [one.discovery.regex for one in known]
    return sorted(key for key in keys if not any(one.fullmatch(key) for one in patterns))


def key_date(contract: Contract, key: str) -> date | None:
    """Landed date that the key states; None for layouts without a date, or for a date that is none."""
    match = contract.discovery.regex.fullmatch(key)
    if match is None or not contract.discovery.dated:
        return None
    try:
        return date(*(int(match[part]) for part in ("yyyy", "MM", "dd")))
    except ValueError:
        return None


def _pin_due(
    landing: Store,
    contract: Contract,
    found: Listing,
    landed: date,
    dates: set[date],
    covered: Covered,
) -> list[Landed]:
    new = uncovered(contract, found, covered)
    if contract.discovery.dated:
        due = {landed} | {day for key in new if (day := key_date(contract, key)) is not None}
        keys = [key for key in found if key_date(contract, key) in due]
        arrived = objects = _pin(landing, contract, keys)
    else:
        arrived = _pin(landing, contract, new)
        due = {landed} | {one.landed_date for one in arrived if one.landed_date in dates}
        # an object that was replaced leaves the date that held it
        due |= {day for day, objects in covered.items() if not objects.keys().isdisjoint(new)}
        old = [
            key for day in due for key in covered.get(day, {}) if key in found and key not in new
        ]
        objects = [one for one in arrived if one.landed_date in due] + _pin(landing, contract, old)
    moved = [one.pinned.key for one in objects if one.landed_date not in due]
    if moved:
        raise SourceError(
            f"{landing.location.url(min(moved))} has another arrival than when it was read: give it "
            "back its metadata delivered-at, so that the dates it belongs to stay whole"
        )
    _refuse_vanished(landing, contract, objects + arrived, due, covered)
    return sorted(objects, key=lambda one: one.pinned.key)


def _pin_dates(
    landing: Store, contract: Contract, found: Listing, dates: set[date], covered: Covered
) -> list[Landed]:
    read = {key: day for day, objects in covered.items() for key in objects}
    keys = found  # without dates in keys, those that may belong to one of the dates
    if not contract.discovery.dated:
        new = uncovered(contract, found, covered)
        keys = {key: found[key] for key in {*new, *(k for k in found if read.get(k) in dates)}}
    pinned = _pin(landing, contract, keys)
    for one in pinned:
        days = {one.landed_date, read.get(one.pinned.key, one.landed_date)}
        if len(days) > 1 and days & dates:
            raise SourceError(
                f"{landing.location.url(one.pinned.key)} was read for landed date "
                f"{read[one.pinned.key]} and now belongs to {one.landed_date}: run `usage-export ingest "
                f"{contract.stream} --landed {one.landed_date}` first, or give it back its metadata "
                "delivered-at"
            )
    objects = [one for one in pinned if one.landed_date in dates]
    _refuse_vanished(landing, contract, objects, dates, covered)
    return sorted(objects, key=lambda one: one.pinned.key)


def _refuse_vanished(
    landing: Store, contract: Contract, objects: list[Landed], due: set[date], covered: Covered
) -> None:
    """A date is normalized whole; without an object that it once held, rows would vanish."""
    there = {one.pinned.key for one in objects}
    gone = sorted(key for day in due for key in covered.get(day, {}) if key not in there)
    if gone:
        raise SourceError(
            f"{contract.stream}: {len(gone)} objects that were read before are gone from landing, first "
            f"{landing.location.url(gone[0])}: restore them, or leave their landed date as it is published"
        )


def _pin(landing: Store, contract: Contract, keys: Iterable[str]) -> list[Landed]:
    with ThreadPoolExecutor(HEADS_AT_ONCE) as pool:
        return [_landed(contract, pinned) for pinned in pool.map(landing.pin, sorted(keys))]


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


def _prefixes(contract: Contract, dates: Iterable[date] | None) -> set[str]:
    """What to list: the literal head of the path, with the date filled in where it comes first."""
    path = contract.discovery.path
    if dates is None or not contract.discovery.dated:
        return {_head(path)}
    return {_head(day.strftime(_strftime(path))) for day in dates}


def _strftime(path: str) -> str:
    return (
        path.replace("%", "%%").replace("{yyyy}", "%Y").replace("{MM}", "%m").replace("{dd}", "%d")
    )


def _head(path: str) -> str:
    return re.split(r"[*{]", path, maxsplit=1)[0]


def _first(keys: set[str]) -> str:
    return min(keys)
