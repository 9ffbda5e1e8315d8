"""Releases: numbered, chained by hash, each one truth about all tables.

A release names, for each table and partition, the files with their sha256, rows and control totals. It is
committed by creating `_release/<number>.json` once; `current.json` is a copy of the newest one for readers.
An entry of a partition: {"first", "since", "run", "code", "contract", "key_id", "inputs", "totals", "shape",
"files": [{"key", "sha256", "bytes", "rows"}]}; old lakes lack "first", "key_id", "shape". `pending` names
"stream/usage_date" whose arrivals are newer than its daily totals, `sweeping` the keys that are being deleted,
and since when, `replay` what was read again and why: {"stream", "from", "to", "reason"}; most are none.
"""

import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from etl import layout
from etl.errors import Corrupt, SourceError, StaleInput, StoreUnavailable
from etl.settings import code_version
from etl.store import Store

Entry = dict
Changes = dict[str, dict[str, Entry | None]]
PROVENANCE = ("first", "since", "run", "code")
UNSAID = (*PROVENANCE, "shape")  # the shape follows from the files
ATTEMPTS = 50
REQUESTS_AT_ONCE = 8


@dataclass(frozen=True)
class Release:
    number: int
    sha256: str
    body: dict = field(repr=False)

    def partitions(self, table: str, **values: object) -> dict[str, Entry]:
        """Partitions of a table whose named columns have these values."""
        wanted = {f"{column}={value}" for column, value in values.items()}
        entries = self.body["tables"].get(table, {})
        return {name: entry for name, entry in entries.items() if wanted <= set(name.split("/"))}

    @property
    def pending(self) -> dict[str, int]:
        return self.body["pending"]

    @property
    def sweeping(self) -> dict:
        """Keys that no release names and that are being deleted, and since when; empty most of the time."""
        return self.body.get("sweeping", {})

    def named(self) -> set[str]:
        """Every object that this release names."""
        return {
            key
            for partitions in self.body["tables"].values()
            for entry in partitions.values()
            for key in _keys(entry)
        }


@dataclass(frozen=True)
class Change:
    """What one run wants to publish: entries by table and partition (None removes the partition)."""

    run: str
    base: int
    tables: Changes
    pending: tuple[str, ...] = ()
    built: tuple[str, ...] = ()
    sweeping: tuple[str, ...] | None = None  # only sweep says which keys are being deleted
    replay: dict[str, str] = field(default_factory=dict)


EMPTY = Release(0, "", {"tables": {}, "pending": {}})


def current(store: Store) -> Release:
    """What readers see. Release 0 is the empty lake."""
    body = store.read(layout.CURRENT)
    return _parsed(body.data) if body else EMPTY


def load(store: Store, number: int) -> Release:
    """An older release, 0 being the empty lake; SourceError where there is none."""
    if not number:
        return EMPTY
    if body := store.read(layout.release(number)):
        return _parsed(body.data)
    known = f"the current one is {current(store).number}"
    raise SourceError(f"there is no release {number} in {store.location.url()}: {known}")


def latest(store: Store) -> Release:
    """The newest commit, also where its writer died before it moved current.json."""
    found = current(store)
    while body := store.read(layout.release(found.number + 1)):
        parent, found = found, _parsed(body.data)
        named = (found.body["parent"], found.body["parent_sha256"])
        if named != (parent.number, parent.sha256):
            raise Corrupt(
                f"{store.location.url(layout.release(found.number))} does not name release "
                f"{parent.number} by its sha256: one of the two was changed, restore it"
            )
    return found


def publish(
    store: Store, change: Change, now: datetime, only_after: int | None = None
) -> Release | None:
    """Commit a change as the next release, or return the newest one where nothing differs.

    Raises StaleInput where a partition of the change was published by another run after `base`. With
    `only_after`, gives up and returns None once another release than that one is the newest.
    """
    for _ in range(ATTEMPTS):
        newest = latest(store)
        if only_after is not None and newest.number != only_after:
            return None
        base = newest if change.base == newest.number else load(store, change.base)
        body = _next(newest, base, change, now)
        if body is None:
            _point_at(store, newest)
            return newest
        if change.sweeping is None:
            _refuse_swept(store, newest, change)
        data = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
        if store.create(layout.release(newest.number + 1), data):
            _point_at(store, _parsed(data))
            return _parsed(data)
    raise StoreUnavailable(f"{ATTEMPTS} other publishers were faster: run again")


def advance(store: Store, key: str, data: bytes, number: int) -> None:
    """Replace an object that follows the releases, unless it already follows a newer one."""
    for _ in range(ATTEMPTS):
        seen = store.read(key)
        if seen and int(seen.metadata.get("release", 0)) >= number:
            return
        if store.replace(key, data, seen, {"release": str(number)}):
            return
    raise StoreUnavailable(f"{store.location.url(key)} kept changing: run again")


def files(entries: Iterable[Entry]) -> list[dict]:
    return [file for entry in entries for file in entry["files"]]


def _next(newest: Release, base: Release, change: Change, now: datetime) -> dict | None:
    """Body of the next release; None where the change holds nothing new."""
    number, written = newest.number + 1, now.isoformat(timespec="seconds") + "Z"
    body = json.loads(json.dumps(newest.body))
    changed: list[str] = []
    for table, partitions in change.tables.items():
        live = body["tables"].setdefault(table, {})
        for name, entry in partitions.items():
            if same(live.get(name), entry):
                continue
            seen = base.body["tables"].get(table, {}).get(name)
            _refuse_stale(live.get(name), seen, change, f"{table}/{name}")
            changed.append(f"{table}/{name}")
            _put(live, name, entry, {"since": number, "run": change.run, "code": code_version()})
    pending = _pending(newest, change, number)
    sweeping = newest.sweeping
    if change.sweeping is not None:
        sweeping = {"since": written, "keys": [*change.sweeping]} if change.sweeping else {}
    if not changed and pending.keys() == newest.pending.keys() and sweeping == newest.sweeping:
        return None
    return body | {
        "release": number,
        "parent": newest.number,
        "parent_sha256": newest.sha256,
        "run": change.run,
        "code": code_version(),
        "created_at": written,
        "changed": sorted(changed),
        "pending": pending,
        "sweeping": sweeping,
        "replay": change.replay,
    }


def _refuse_swept(store: Store, newest: Release, change: Change) -> None:
    """Every file that would be named for the first time must lie there, and must not be on its way out.

    Asked between reading the newest release and creating the one after it: sweep deletes between two
    releases of its own, so one of the two writers always meets what the other has written.
    """
    entries = (entry for partitions in change.tables.values() for entry in partitions.values())
    new = sorted({key for entry in entries if entry for key in _keys(entry)} - newest.named())
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        there = list(pool.map(store.exists, new))
    for key, exists in zip(new, there, strict=True):
        if not exists or key in newest.sweeping.get("keys", ()):
            raise StaleInput(
                f"{store.location.url(key)} was staged by {change.run} long ago and is being swept: "
                "run again from its first stage; where that goes on, let `usage-export sweep` finish"
            )


def _keys(entry: Entry) -> list[str]:
    """Keys of an entry's files, and of the results of their validation."""
    validation = [entry["validation"]] if "validation" in entry else []
    return [file["key"] for file in entry["files"]] + validation


def _pending(newest: Release, change: Change, number: int) -> dict[str, int]:
    """Dates still to be built: those this change touched, less those it built from inputs as new."""
    left = {
        name: since
        for name, since in newest.pending.items()
        if name not in change.built or since > change.base
    }
    return left | dict.fromkeys(change.pending, number)


def _refuse_stale(old: Entry | None, seen: Entry | None, change: Change, name: str) -> None:
    """The partition must be as it was in the release that the run had read: neither newer nor gone."""
    if (old and old["since"]) == (seen and seen["since"]):
        return
    what = f"published by {old['run']} in release {old['since']}" if old else "removed"
    raise StaleInput(
        f"{name} was {what}, after this run had read release {change.base}: "
        "run again from its first stage"
    )


def same(old: Entry | None, new: Entry | None) -> bool:
    """Whether a published entry says what a new one does, whoever published it."""
    said = [one and {k: v for k, v in one.items() if k not in UNSAID} for one in (old, new)]
    return said[0] == said[1]


def _put(live: dict, name: str, entry: Entry | None, provenance: dict[str, object]) -> None:
    if entry is None:
        live.pop(name, None)
    else:
        old = live.get(name, provenance)
        live[name] = entry | {"first": old.get("first", old["since"])} | provenance


def _point_at(store: Store, newest: Release) -> None:
    data = store.read(layout.release(newest.number)) if newest.number else None
    if data:
        advance(store, layout.CURRENT, data.data, newest.number)


def _parsed(data: bytes) -> Release:
    body = json.loads(data)
    return Release(body["release"], hashlib.sha256(data).hexdigest(), body)
