"""A provider's delivery of one month: what it holds, how far it came, and the ledger of all of them."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from etl import layout, sql, staged
from etl.billing.tables import DELIVERY
from etl.release import Release
from etl.settings import Settings
from etl.store import Pinned, Store

SEEN, COMPLETE, LOADED = "seen", "complete", "loaded"
SUPERSEDED, REJECTED = "superseded", "rejected"


class Refused(Exception):
    """A delivery is not loaded: rejected, seen only as yet, or complete and waiting for somebody to act. `reason`
    is its stable code, `detail` names object, row or column, or says what to do."""

    def __init__(self, reason: str, detail: str | None = None, state: str = REJECTED) -> None:
        super().__init__(reason, detail, state)
        self.reason, self.detail, self.state = reason, detail, state


@dataclass(frozen=True)
class Delivery:
    """As the ledger keeps it; `parts` are the objects to read, known only while it lies in landing."""

    stream: str
    provider: str
    billing_period: str
    delivery_id: str
    state: str
    submitted_at: datetime
    schema_version: str = ""
    reason: str | None = None
    detail: str | None = None
    manifest_key: str | None = None
    manifest_etag: str | None = None
    landed_at: datetime | None = None
    objects: int = 0
    bytes: int = 0
    rows: int | None = None
    rows_stated: int | None = None
    last_day: date | None = None
    unknown_columns: str | None = None
    content_hash: str | None = None
    held_against: str | None = None
    parts: tuple[Pinned, ...] = ()

    @property
    def short_id(self) -> str:
        return short_id(self.delivery_id)

    @property
    def place(self) -> str:
        """Where an object or folder that stands for itself lies, without its version; case does not count."""
        return self.delivery_id.rpartition("@")[0].lower()

    def as_landed(self, other: "Delivery") -> "Delivery":
        """With that of another by which it is known that it need not be read again."""
        return replace(
            self,
            manifest_key=other.manifest_key,
            manifest_etag=other.manifest_etag,
            landed_at=other.landed_at,
        )

    def at(self, state: str, reason: str | None = None, detail: str | None = None) -> "Delivery":
        return replace(self, state=state, reason=reason, detail=detail)

    def to_json(self) -> dict:
        parts = [asdict(one) | {"delivered_at": str(one.delivered_at)} for one in self.parts]
        times = {
            "submitted_at": str(self.submitted_at),
            "landed_at": self.landed_at and str(self.landed_at),
            "last_day": self.last_day and str(self.last_day),
        }
        return asdict(self) | times | {"parts": parts}


def from_json(one: dict) -> Delivery:
    parts = tuple(
        Pinned(**part | {"delivered_at": datetime.fromisoformat(part["delivered_at"])})
        for part in one["parts"]
    )
    submitted = datetime.fromisoformat(one["submitted_at"])
    landed = datetime.fromisoformat(one["landed_at"]) if one.get("landed_at") else None
    last = date.fromisoformat(one["last_day"]) if one["last_day"] else None
    times = {"submitted_at": submitted, "landed_at": landed, "last_day": last}
    return Delivery(**one | {"parts": parts} | times)


def age(one: Delivery) -> tuple:
    """Of two deliveries of a month the greater one is newer."""
    return one.submitted_at, one.delivery_id


def stands(known: Iterable[Delivery]) -> dict[str, Delivery]:
    """What is loaded of each month, or the newest delivery of the very same content: nothing older counts."""
    rows = list(known)
    found = {one.billing_period: one for one in rows if one.state == LOADED}
    ids = {one.delivery_id for one in found.values()}
    for one in rows:
        again = one.state == SUPERSEDED and one.reason == "same_content" and one.detail in ids
        if again and age(one) > age(found[one.billing_period]):
            found[one.billing_period] = one
    return found


def short_id(delivery_id: str) -> str:
    """First 16 hex digits of sha256(delivery_id): the partition of its charges."""
    return hashlib.sha256(delivery_id.encode()).hexdigest()[:16]


def ledger(
    settings: Settings, lake: Store, base: Release, stream: str, folder: Path
) -> list[Delivery]:
    """Every delivery of a stream that a release knows, oldest first."""
    entries = staged.partitions(base, DELIVERY.name, stream=stream)
    names = ", ".join(one.name for one in fields(Delivery) if one.name in DELIVERY.sql_columns)
    with sql.connect(settings) as engine:
        staged.give(engine, lake, "delivery", DELIVERY.name, entries, folder / "ledger")
        found = sql.rows(engine, f"SELECT {names} FROM delivery ORDER BY submitted_at, delivery_id")
    return [Delivery(**row) for row in found]


def is_settled(before: Delivery, version: str, submitted_at: datetime) -> bool:
    """Judged for good; a contract of another version judges a rejected one anew, and one that was replaced
    counts again where the provider went back to it."""
    if before.state == REJECTED:
        return before.schema_version == version
    return before.state == LOADED or (
        before.state == SUPERSEDED and submitted_at <= before.submitted_at
    )


def table(deliveries: Iterable[Delivery]) -> pa.Table:
    """Rows of the ledger."""
    names = DELIVERY.sql_columns
    rows = [{name: getattr(one, name) for name in names} for one in deliveries]
    return pa.Table.from_pylist(rows, DELIVERY.schema)


def is_month(billing_period: str) -> bool:
    """Whether it is a month of a year that has bills, as those of charges are."""
    return re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", billing_period) is not None


def is_closed(billing_period: str, moment: datetime, closes_after_days: int) -> bool:
    """Whether a month was closed at a moment: so many days after its end."""
    return moment >= period_end(billing_period) + timedelta(days=closes_after_days)


def period_start(billing_period: str) -> datetime:
    return datetime.strptime(billing_period, "%Y-%m")


def period_end(billing_period: str) -> datetime:
    start = period_start(billing_period)
    return (start + timedelta(days=32)).replace(day=1)


def partition(one: Delivery, billing_period: str) -> str:
    """Name of the partition of a delivery's charges of one month."""
    return layout.partition(partition_columns(one, billing_period))


def partition_columns(one: Delivery, billing_period: str) -> dict[str, Any]:
    return {
        "x_provider": one.provider,
        "x_billing_period": billing_period,
        "x_stream": one.stream,
        "x_delivery": one.short_id,
    }
