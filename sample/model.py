"""What a sample is made of: landed objects, and the truth that a correct pipeline reports of them."""

import gzip
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

KEY_DATE = re.compile(r"(?:year=)?(\d{4})/(?:month=)?(\d{2})/(?:day=)?(\d{2})/")


@dataclass(frozen=True)
class LandedObject:
    """One object of the landing bucket; `delivered_at` is UTC, without zone."""

    key: str
    body: bytes
    delivered_at: datetime

    @property
    def landed_date(self) -> date:
        found = KEY_DATE.search(self.key)
        assert found, self.key
        return date(*map(int, found.groups()))


@dataclass(frozen=True)
class Sample:
    objects: tuple[LandedObject, ...]
    truth: dict

    @property
    def landed_dates(self) -> list[date]:
        return sorted({one.landed_date for one in self.objects})


@dataclass
class Truth:
    """Counts kept in plain dictionaries by whoever writes a record."""

    totals: dict[tuple, list] = field(default_factory=dict)
    landed: dict[tuple, Counter] = field(default_factory=dict)
    refused: dict[tuple, Counter] = field(default_factory=dict)
    duplicates: Counter = field(default_factory=Counter)
    voids: Counter = field(default_factory=Counter)
    gaps: list[dict] = field(default_factory=list)

    def count(
        self,
        day: date,
        stream: str,
        tenant: str,
        meter: tuple[str, str],
        quantity: Decimal,
        weight: int = 1,
    ) -> None:
        """One measure that counts, on the UTC day it is charged to."""
        total = self.totals.setdefault(
            (str(day), stream, tenant, *meter), [Decimal(0), Decimal(0), 0]
        )
        total[0] += quantity
        total[1] += quantity * weight
        total[2] += 1

    def land(
        self,
        stream: str,
        landed: date,
        objects: int = 0,
        records: int = 0,
        refused: str | None = None,
    ) -> None:
        """Objects and records as they land; a refused record names its reason."""
        counts = self.landed.setdefault((stream, str(landed)), Counter())
        counts.update(objects=objects, records=records)
        if refused:
            self.refused.setdefault((stream, str(landed)), Counter())[refused] += records

    def to_json(self) -> dict:
        return {
            "daily_totals": [
                {
                    "usage_date": day,
                    "stream": stream,
                    "tenant_id": tenant,
                    "meter": meter,
                    "unit": unit,
                    "quantity": str(quantity),
                    "weighted_quantity": str(weighted),
                    "events": events,
                }
                for (day, stream, tenant, meter, unit), (quantity, weighted, events) in sorted(
                    self.totals.items()
                )
            ],
            "landed": [self._landed(*name) for name in sorted(self.landed)],
            "duplicates": [
                {"stream": stream, "class": kind, "records": n}
                for (stream, kind), n in sorted(self.duplicates.items())
            ],
            "voids": dict(sorted(self.voids.items())),
            "sequence_gaps": self.gaps,
        }

    def _landed(self, stream: str, landed: str) -> dict:
        counts, refused = self.landed[stream, landed], self.refused.get((stream, landed), Counter())
        return {
            "stream": stream,
            "landed_date": landed,
            "objects": counts["objects"],
            "records": counts["records"],
            "accepted": counts["records"] - refused.total(),
            "quarantined": dict(sorted(refused.items())),
        }


def packed(data: bytes) -> bytes:
    """gzip without a time, so that equal data gives equal bytes."""
    return gzip.compress(data, 6, mtime=0)
