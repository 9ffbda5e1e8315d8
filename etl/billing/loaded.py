"""What became of a delivery while it was read: its ledger row, its objects, the sums of its text."""

import hashlib
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext

import pyarrow as pa
import pyarrow.compute as pc

from etl.billing.contract import as_delivered
from etl.billing.delivery import COMPLETE, REJECTED, Delivery
from etl.store import Pinned

DIGITS = 60


@dataclass
class Loaded:
    """`source` holds the sums of the text by (month, stage, the provider's kind of line, currency); `accounts` are
    the billing accounts of its rows."""

    delivery: Delivery
    objects: list[dict] = field(default_factory=list)
    source: dict[tuple, dict] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)

    def add_object(self, pinned: Pinned, sha256: str, kept_key: str | None) -> None:
        self.objects.append(
            {
                "stream": self.delivery.stream,
                "delivery": self.delivery.short_id,
                "object_key": pinned.key,
                "object_etag": pinned.etag,
                "size_bytes": pinned.size_bytes,
                "sha256": sha256,
                "kept_key": kept_key,
                "rows": 0,
            }
        )

    def add(self, number: int, charges: pa.Table, sums: list[dict]) -> None:
        """Count one chunk of object `number`."""
        with localcontext(prec=DIGITS):
            for row in sums:
                key = (row["period"], row["stage"], row["category"], row["currency"])
                kept = self.source.setdefault(
                    key, {"rows": 0, "source_cost": Decimal(0), "source_credits": Decimal(0)}
                )
                kept["rows"] += row["rows"]
                kept["source_cost"] += (row["cost"] or 0) + (row["rest"] or 0)
                kept["source_credits"] += row["credits"] or 0
                self.objects[number]["rows"] += row["rows"]
        self.accounts |= set(pc.unique(charges["billing_account_id"]).to_pylist())
        starts = charges["charge_period_start"]
        starts = starts.filter(pc.less(starts, charges["billing_period_end"]))
        last, known = pc.max(starts).as_py(), self.delivery.last_day
        if last is not None:
            self.delivery = replace(self.delivery, last_day=max(known or last.date(), last.date()))

    def sources(self) -> list[dict]:
        """The sums as rows of charge_control, amounts as text."""
        names = ("billing_period", "stage", "category", "currency")
        return [
            dict(zip(names, key, strict=True))
            | {"delivery": self.delivery.short_id, "rows": sums["rows"]}
            | {name: f"{sums[name]:f}" for name in ("source_cost", "source_credits")}
            for key, sums in self.source.items()
        ]

    def hashes(self) -> tuple[str, ...]:
        return tuple(sorted(one["sha256"] for one in self.objects))

    def finish(self, unknown_columns: set[str]) -> None:
        """Complete the ledger row; other rows than a manifest states reject it, than a marker states let it wait."""
        rows = sum(one["rows"] for one in self.objects)
        digest = hashlib.sha256("\n".join(self.hashes()).encode()).hexdigest()
        unknown = ",".join(sorted(map(as_delivered, unknown_columns))) or None
        found = replace(self.delivery, rows=rows, content_hash=digest, unknown_columns=unknown)
        if found.rows_stated not in (None, rows):
            found = _of_other_rows(found, rows)
        self.delivery = found


def _of_other_rows(found: Delivery, rows: int) -> Delivery:
    """A manifest names its objects; a marker may be that of objects which are being replaced."""
    if found.manifest_key:
        detail = f"{rows} rows read, the manifest states {found.rows_stated}"
        return found.at(REJECTED, "row_count", detail)
    folder = found.delivery_id.rpartition("@")[0]
    return found.at(
        COMPLETE,
        "marker_rows",
        f"{found.stream}: {folder}/ has {rows} rows, its marker states {found.rows_stated}: write all of its objects, "
        "and then the marker",
    )
