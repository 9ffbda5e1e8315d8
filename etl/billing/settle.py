"""Staged and published charges of a month -> its daily costs, its control totals, and what moved.

The charges of a month are those of its newest delivery, or of all deliveries where they append. Every stage's
sums are held against those of the stage before; where they differ, nothing is published.
"""

from collections.abc import Iterable
from decimal import Decimal, localcontext
from pathlib import Path

import duckdb
import pyarrow as pa

from etl import layout, sql, staged
from etl.billing import overlap
from etl.billing.contract import BillingContract
from etl.billing.outcome import Month
from etl.billing.tables import CHARGE, CHARGE_CONTROL, CHARGE_DAILY, CHARGE_RESTATEMENT
from etl.errors import OutOfBalance
from etl.release import Entry, Release
from etl.settings import Settings
from etl.staged import Staged
from etl.store import Store

DIGITS = 60
COSTS = ("list_cost", "contracted_cost", "billed_cost", "effective_cost")
SOURCE = ("source_cost", "source_credits")
DAILY = f"""
    SELECT NULL AS delivery, charge_category, billing_currency AS currency, sum(charges)::BIGINT AS rows,
        {", ".join(f"sum({cost})::DECIMAL(38,18) AS {cost}" for cost in COSTS)}
    FROM daily_row GROUP BY ALL ORDER BY ALL"""


def settle(
    settings: Settings,
    lake: Store,
    contract: BillingContract,
    base: Release,
    month: Month,
    folder: Path,
    out: Staged,
) -> dict:
    """Stage charge_daily, charge_control and charge_restatement of one month; returns its sums for people.
    Raises Refused, with nothing staged, where the month cannot be what its deliveries make of it."""
    mine = {
        "provider": contract.provider,
        "billing_period": month.billing_period,
        "stream": contract.stream,
    }
    with sql.connect(settings) as engine:
        charges = _charges(base, contract, month.billing_period, out)
        staged.give(engine, lake, "charge", CHARGE.name, list(charges.values()), folder)
        engine.execute(
            f"CREATE OR REPLACE TEMP TABLE daily_row AS {sql.model('charge/charge_daily')}"
        )
        overlap.refuse(engine, lake, contract, base, month, folder)
        for stream in month.old_streams:
            for table in (CHARGE_DAILY, CHARGE_CONTROL):
                out.remove(table, layout.partition(mine | {"stream": stream}))
        inputs = tuple(file["sha256"] for entry in charges.values() for file in entry["files"])
        out.add(engine, CHARGE_DAILY, "FROM daily_row", mine, inputs)
        controls = _controls(engine, lake, contract, base, month, mine, folder)
        engine.register("control_row", pa.Table.from_pylist(controls, CHARGE_CONTROL.schema))
        out.add(engine, CHARGE_CONTROL, "FROM control_row", mine)
        _restate(engine, lake, contract, base, month, mine, folder, out)
    return _shown(controls)


def _charges(
    base: Release, contract: BillingContract, billing_period: str, out: Staged
) -> dict[str, Entry]:
    """Live partitions of the month as they will be: published ones, less what is removed, with what is new."""
    live = base.partitions(CHARGE.name, x_billing_period=billing_period, x_stream=contract.stream)
    month = f"x_billing_period={billing_period}"
    staged_now = {n: e for n, e in out.tables.get(CHARGE.name, {}).items() if month in n.split("/")}
    return {name: entry for name, entry in (live | staged_now).items() if entry is not None}


def _controls(
    engine: duckdb.DuckDBPyConnection,
    lake: Store,
    contract: BillingContract,
    base: Release,
    month: Month,
    mine: dict,
    folder: Path,
) -> list[dict]:
    """Rows of charge_control: source, charge and charge_daily, each equal to the one before."""
    charged = sql.rows(engine, sql.model("charge/charge_control"), {"cost": contract.control.cost})
    older = staged.partitions(base, CHARGE_CONTROL.name, **mine)
    staged.give(engine, lake, "published_control", CHARGE_CONTROL.name, older, folder / "control")
    wanted = {row["delivery"] for row in charged} - {one["delivery"] for one in month.source}
    known = sql.rows(engine, "FROM published_control WHERE stage IN ('source', 'mirror')")
    source = [mine | one for one in month.source]
    source += [row for row in known if row["delivery"] in wanted]
    _refuse_lost(contract, month, source, charged)
    charge = _summed(charged, ("delivery", "charge_category", "currency"))
    daily = sql.rows(engine, DAILY)
    _refuse_drift(contract, month, charge, daily)
    rows = source + [
        mine | {"stage": stage, "category": row["charge_category"]} | row
        for stage, found in (("charge", charge), ("charge_daily", daily))
        for row in found
    ]
    return [_as_text({name: row.get(name) for name in CHARGE_CONTROL.sql_columns}) for row in rows]


def _refuse_lost(
    contract: BillingContract, month: Month, source: list[dict], charged: list[dict]
) -> None:
    """Rows and the provider's own total, by its own kind of line: from text to charges nothing is lost."""
    came = _by_key((row for row in source if row["stage"] == "source"), "category")
    went = _by_key(_summed(charged, ("delivery", "charge_type", "currency")), "charge_type")
    if came != went:
        differ = sorted(map(str, came.keys() ^ went.keys())) or sorted(
            str(key) for key in came if came[key] != went[key]
        )
        raise OutOfBalance(
            f"{contract.stream} {month.billing_period}: charges do not add up to what was delivered, "
            f"for {differ[0]}; nothing was published"
        )


def _by_key(rows: Iterable[dict], category: str) -> dict[tuple, tuple]:
    return {
        (row["delivery"], row[category], row["currency"]): (
            row["rows"],
            *(Decimal(row[name] or 0) for name in SOURCE),
        )
        for row in rows
    }


def _refuse_drift(
    contract: BillingContract, month: Month, charge: list[dict], daily: list[dict]
) -> None:
    """Rows and the four costs by category and currency: from charges to days nothing is lost."""

    def sums(rows: list[dict]) -> dict[tuple, tuple]:
        names = ("charge_category", "currency")
        found = _summed(rows, names)
        return {tuple(r[n] for n in names): (r["rows"], *(r[c] for c in COSTS)) for r in found}

    if sums(charge) != sums(daily):
        raise OutOfBalance(
            f"{contract.stream} {month.billing_period}: daily costs do not add up to the charges; "
            "nothing was published"
        )


def _summed(rows: list[dict], names: tuple[str, ...]) -> list[dict]:
    """Sums by some of the columns; digits lost to rounding are part of source_cost again."""
    found: dict[tuple, dict] = {}
    with localcontext(prec=DIGITS):
        for row in rows:
            key = tuple(row[name] for name in names)
            kept = found.setdefault(key, dict(zip(names, key, strict=True)) | {"rows": 0})
            kept["rows"] += row["rows"]
            for name in (*SOURCE, *COSTS):
                value = row.get(name)
                rest = row.get("source_rest") if name == "source_cost" else None
                if value is not None:
                    kept[name] = kept.get(name, Decimal(0)) + value + (rest or 0)
                else:
                    kept.setdefault(name, None if name in SOURCE else Decimal(0))
    return list(found.values())


def _as_text(row: dict) -> dict:
    return row | {name: f"{Decimal(row[name]):f}" for name in SOURCE if row[name] is not None}


def _restate(
    engine: duckdb.DuckDBPyConnection,
    lake: Store,
    contract: BillingContract,
    base: Release,
    month: Month,
    mine: dict,
    folder: Path,
    out: Staged,
) -> None:
    """A published month never moves in silence."""
    old: dict[str, Entry] = {}
    daily: dict[str, Entry] = {}
    for stream in (contract.stream, *month.old_streams):
        of_month = {"x_billing_period": month.billing_period, "x_stream": stream}
        old |= base.partitions(CHARGE.name, **of_month)
        daily |= base.partitions(CHARGE_DAILY.name, **mine | {"stream": stream})
    if not old:  # published before only where all its charges went once
        daily = base.partitions(CHARGE_RESTATEMENT.name, **mine)
    if not (daily or old):
        return
    replaced = max(entry["since"] for entry in (daily or old).values())
    staged.give(engine, lake, "published_charge", CHARGE.name, list(old.values()), folder / "old")
    sql.create(
        engine,
        "restated",
        "charge/charge_restatement",
        stream=contract.stream,
        replaced=replaced,
        closed=int(month.closed),
        cause=month.cause,
    )
    if sql.rows(engine, "FROM restated LIMIT 1"):
        out.add(engine, CHARGE_RESTATEMENT, "FROM restated", mine | {"replaced": str(replaced)})


def _shown(controls: list[dict]) -> dict:
    """Billed cost by currency, and rows, as text."""
    last = [row for row in controls if row["stage"] == "charge_daily"]
    billed = {row["currency"]: row["billed_cost"] for row in _summed(last, ("currency",))}
    return {"charges": sum(row["rows"] for row in last)} | {
        f"billed {currency}": f"{cost:f}" for currency, cost in sorted(billed.items())
    }
