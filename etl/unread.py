"""Landed objects that could not be read: each is named with its reason, and holds back no other.

What stands in the ledger `unread` is not covered, whatever a manifest says: the next run whose look-back
window holds its landed date reads it again, and takes it off the ledger once it was read. What is no longer
there when that window has passed is lost: it stays in the ledger, and nobody waits for it any more.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from etl import shown, sql, staged
from etl.errors import (
    Corrupt,
    Denied,
    NoArrival,
    ObjectChanged,
    SourceError,
    StoreUnavailable,
    UsageError,
    Vanished,
)
from etl.manifest import Landed
from etl.release import Release
from etl.store import Store
from etl.tables import UNREAD

REASON_OF: dict[type[UsageError], str] = {
    StoreUnavailable: "not_answered",
    Denied: "denied",
    Corrupt: "damaged",
    ObjectChanged: "replaced",
    Vanished: "vanished",
    NoArrival: "no_arrival",
}
OF_ONE_OBJECT = tuple(REASON_OF)
BATCH_FAILED = "batch_failed"
LOST = "lost"
WITHHELD = "withheld"
GONE = "vanished: ask its producer to deliver it again under this key"
SHOWN_OBJECTS = 10
MOST_UNANSWERED = (
    10  # each costs minutes of retries; more are an outage, which a later retry outlives
)


@dataclass(frozen=True)
class Unread:
    """One object; `said` is what the store said, for people: it is not part of the ledger."""

    landed_date: date
    key: str
    etag: str
    reason: str
    said: str

    def to_json(self) -> dict:
        return asdict(self) | {"landed_date": str(self.landed_date)}


def from_json(one: dict) -> Unread:
    return Unread(**one | {"landed_date": date.fromisoformat(one["landed_date"])})


def failed(landed: Landed, error: UsageError) -> Unread:
    pinned = landed.pinned
    return Unread(landed.landed_date, pinned.key, pinned.etag, reason(error), str(error))


def reason(error: UsageError) -> str:
    return next(code for kind, code in REASON_OF.items() if isinstance(error, kind))


def refuse_outage(unread: list[Unread], read: int | None = None) -> None:
    """One object of many can be at fault. Where many were not answered for, or none was `read` once all
    were tried, it is the store or our access to it: StoreUnavailable or Denied, as for any request."""
    unanswered, denied = (
        [one for one in unread if one.reason == REASON_OF[kind]]
        for kind in (StoreUnavailable, Denied)
    )
    if unanswered and (read == 0 or len(unanswered) > MOST_UNANSWERED):
        raise StoreUnavailable(unanswered[0].said)
    if denied and read == 0:
        raise Denied(denied[0].said)


def ledger(
    engine: duckdb.DuckDBPyConnection, store: Store, base: Release, stream: str, folder: Path
) -> list[Unread]:
    """What stands in the ledger of a release."""
    entries = staged.partitions(base, UNREAD.name, stream=stream)
    staged.give(engine, store, "unread_before", UNREAD.name, entries, folder)
    return [
        Unread(row["landed_date"], row["raw_object_key"], row["raw_object_etag"], row["reason"], "")
        for row in sql.rows(engine, "FROM unread_before ORDER BY landed_date, raw_object_key")
    ]


def after(before: Iterable[Unread], read: set[str], now: Iterable[Unread]) -> list[Unread]:
    """The next ledger: less what was read since, and what could not be read now as it is now."""
    new = {one.key: one for one in now}
    return [one for one in before if one.key not in read | new.keys()] + list(new.values())


def refuse(missed: dict[str, list[dict]]) -> None:
    """SourceError with the list, by stream, where there is any."""
    if count := sum(map(len, missed.values())):
        lines = [f"{stream}: {line}" for stream, some in missed.items() for line in told(some)]
        head = (
            f"{count} landed objects were not read and stay backlog unless they are lost, see `usage-export "
            "status`; the next run reads them, or run the lane again:"
        )
        raise SourceError("\n".join([head, *lines]))


def waiting(
    stream: str, backlog: list[str], unread: dict[str, str], hints: dict[str, str]
) -> list[str]:
    """What is still to be read, for people: what landed and no manifest covers, and what vanished. `hints`: of
    those that no run will read, why."""
    there = set(backlog)
    gone = [key for key in unread if key not in there]
    lost = sum(unread[key] == LOST for key in gone)
    why = unread | dict.fromkeys(gone, GONE)
    named = [key for key in unread if key in there or unread[key] != LOST]
    named += [key for key in backlog if key not in unread]

    def line(key: str) -> str:
        reason = f" ({why[key]})" if key in why else ""
        hint = f": {hints[key]}" if key in hints else ""
        return f"  {shown.value(key)}{reason}{hint}"

    head = f"{stream}: {len(named)} landed objects not read yet"
    head += f", {lost} lost (see the table unread)" if lost else ""
    return [head, *map(line, named[:SHOWN_OBJECTS])]


def told(missed: Iterable[dict]) -> list[str]:
    """A list for people: what was said once, then the objects it was said of."""
    same: dict[tuple[str, str], list[str]] = {}
    for one in missed:
        same.setdefault((one["reason"], one["said"]), []).append(shown.value(one["key"]))
    lines = []
    for (why, said), keys in same.items():
        if len(keys) == 1:
            lines.append(f"not read ({why}): {keys[0]}: {said}")
            continue
        lines.append(f"not read ({why}): {len(keys)} objects: {said}")
        lines += [f"  {key}" for key in keys[:SHOWN_OBJECTS]]
        if len(keys) > SHOWN_OBJECTS:
            lines.append(f"  and {len(keys) - SHOWN_OBJECTS} more, see the table unread")
    return lines


def table(stream: str, unread: Iterable[Unread]) -> pa.Table:
    rows = [
        {
            "stream": stream,
            "landed_date": one.landed_date,
            "raw_object_key": one.key,
            "raw_object_etag": one.etag,
            "reason": one.reason,
        }
        for one in unread
    ]
    return pa.Table.from_pylist(rows, UNREAD.schema)
