"""The exact list of objects that one run reads, what became of each, and how both travel between tasks."""

from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Any

from etl.store import Pinned
from etl.tally import DIGITS, Tally


@dataclass(frozen=True)
class Landed:
    """A pinned object and the landed date that owns it."""

    pinned: Pinned
    landed_date: date
    sequence_scope: str | None
    first_sequence: int | None

    def to_json(self) -> dict:
        return asdict(self.pinned) | {
            "delivered_at": self.pinned.delivered_at.isoformat(),
            "landed_date": self.landed_date.isoformat(),
            "sequence_scope": self.sequence_scope,
            "first_sequence": self.first_sequence,
        }


def from_json(one: dict) -> Landed:
    pinned = {name: one[name] for name in ("key", "etag", "version_id", "size_bytes")}
    return Landed(
        Pinned(**pinned, delivered_at=datetime.fromisoformat(one["delivered_at"])),
        date.fromisoformat(one["landed_date"]),
        one["sequence_scope"],
        one["first_sequence"],
    )


BATCH_BYTES = 256 << 20
BATCH_OBJECTS = 1000


def order(one: Landed) -> tuple[date, datetime, str]:
    """In which objects are read: that of their rows in usage_arrival."""
    return one.landed_date, one.pinned.delivered_at, one.pinned.key


def in_order(objects: list[Landed]) -> bool:
    return all(order(one) < order(other) for one, other in pairwise(objects))


def batches(objects: list[Landed]) -> list[tuple[int, int]]:
    """Runs of the sorted objects, each within the limits of a batch: (start, end) pairs."""
    found, start, size = [], 0, 0
    for n, one in enumerate(objects):
        if n > start and (size + one.pinned.size_bytes > BATCH_BYTES or n - start >= BATCH_OBJECTS):
            found.append((start, n))
            start, size = n, 0
        size += one.pinned.size_bytes
    return [*found, (start, len(objects))] if objects else []


Meter = tuple[str | None, str | None]  # meter and unit; (None, None) counts records


@dataclass
class Count:
    """Records, or measures of one meter with their quantity, of one object."""

    rows_in: int = 0
    kept: int = 0
    refused: int = 0
    quantity_in: Decimal = Decimal(0)
    quantity_kept: Decimal = Decimal(0)
    quantity_refused: Decimal = Decimal(0)

    def add(self, row: dict) -> None:
        with localcontext(prec=DIGITS):
            for name, value in row.items():
                if name in self.__dataclass_fields__:
                    setattr(self, name, getattr(self, name) + (value or 0))


@dataclass
class ObjectResult:
    """What became of one object: outcome is `read`, or the reason for which it was refused whole."""

    landed: Landed
    sha256: str
    outcome: str = "read"
    counts: dict[Meter, Count] = field(default_factory=lambda: {(None, None): Count()})

    @property
    def records(self) -> Count:
        return self.counts[None, None]

    @property
    def rows(self) -> int:
        return sum(count.kept for (meter, _), count in self.counts.items() if meter is not None)

    def to_json(self) -> dict:
        counts = [[meter, unit, _text(count)] for (meter, unit), count in self.counts.items()]
        return {
            "landed": self.landed.to_json(),
            "sha256": self.sha256,
            "outcome": self.outcome,
            "counts": counts,
        }

    def tallies(self, stream: str) -> list[Tally]:
        """Raises OutOfBalance unless every record, measure and quantity is accounted for."""
        return [
            Tally(
                stage="normalize",
                stream=stream,
                date=self.landed.landed_date,
                scope=self.landed.pinned.key,
                meter=meter,
                unit=unit,
                rows_in=count.rows_in,
                rows_out=count.kept,
                rows_quarantined=count.refused,
                quantity_in=count.quantity_in if meter else None,
                quantity_out=count.quantity_kept if meter else None,
                quantity_quarantined=count.quantity_refused if meter else None,
            )
            for (meter, unit), count in sorted(self.counts.items(), key=str)
        ]


def result_from_json(one: dict) -> ObjectResult:
    counts = {(meter, unit): _count(values) for meter, unit, values in one["counts"]}
    return ObjectResult(from_json(one["landed"]), one["sha256"], one["outcome"], counts)


def _text(count: Count) -> dict:
    return {
        name: str(value) if isinstance(value, Decimal) else value
        for name, value in asdict(count).items()
    }


def _count(values: dict) -> Count:
    found: dict[str, Any] = {n: Decimal(v) if isinstance(v, str) else v for n, v in values.items()}
    return Count(**found)
