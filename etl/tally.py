"""The law of conservation: what a stage read is what it kept, plus what it set aside by name."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal, localcontext

import pyarrow as pa

from etl.errors import OutOfBalance
from etl.tables import TALLY

ZERO = Decimal(0)
DIGITS = 38  # of a quantity, and so of a sum: Python's own 28 would round it


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Rows (and, for one meter, quantities) of one stage over one scope: an object or a partition.

    A tally that does not balance cannot be made. `void` counts void instructions, `voided` the rows
    that they cancelled; `sampled_out` what a stated rule left out. One tally is one row of the ledger.
    """

    stage: str
    stream: str
    date: date
    scope: str
    meter: str | None = None
    unit: str | None = None
    rows_in: int
    rows_out: int
    rows_duplicate: int = 0
    rows_quarantined: int = 0
    rows_sampled_out: int = 0
    rows_voided: int = 0
    rows_void: int = 0
    quantity_in: Decimal | None = None
    quantity_out: Decimal | None = None
    quantity_duplicate: Decimal | None = None
    quantity_quarantined: Decimal | None = None
    quantity_voided: Decimal | None = None

    def __post_init__(self) -> None:
        parts = (self.rows_out, self.rows_duplicate, self.rows_quarantined, self.rows_sampled_out)
        self._balance("rows", self.rows_in, sum(parts) + self.rows_voided + self.rows_void)
        if self.meter is not None:
            kept = (
                self.quantity_out,
                self.quantity_duplicate,
                self.quantity_quarantined,
                self.quantity_voided,
            )
            with localcontext(prec=DIGITS):
                accounted = sum(q or ZERO for q in kept)
            self._balance(f"{self.meter} in {self.unit}", self.quantity_in or ZERO, accounted)

    def _balance(self, what: str, came: int | Decimal, accounted: int | Decimal) -> None:
        if came != accounted:
            raise OutOfBalance(
                f"{self.stage} of {self.stream} {self.date}, {self.scope}: {came} {what} in, "
                f"{accounted} accounted for; nothing was published"
            )


def summary(tallies: Iterable[Tally]) -> dict[str, int]:
    """What an operator reads: rows over all scopes, zeros left out but for in and out."""
    whole = [one for one in tallies if one.meter is None]
    names = [name for name in Tally.__dataclass_fields__ if name.startswith("rows_")]
    sums = {name: sum(getattr(one, name) for one in whole) for name in names}
    return {name: n for name, n in sums.items() if n or name in ("rows_in", "rows_out")}


def table(tallies: Iterable[Tally]) -> pa.Table:
    return pa.Table.from_pylist([asdict(one) for one in tallies], TALLY.schema)
