"""Events of one usage date -> daily totals, and what differs from the totals that are published."""

from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from etl import layout, sql, staged, tally
from etl.contract import Contract
from etl.release import Entry, Release
from etl.settings import Settings
from etl.staged import Staged
from etl.store import Store
from etl.tables import RESTATEMENT, TALLY, USAGE_DAILY
from etl.tally import Tally

TOTALS = """
    SELECT meter, unit, sum({rows})::BIGINT AS n, sum(quantity)::DECIMAL(38,9) AS quantity
    FROM {table} GROUP BY ALL ORDER BY ALL"""


def aggregate(
    settings: Settings,
    lake: Store,
    contract: Contract,
    base: Release,
    usage_date: date,
    why: str,
    folder: Path,
    out: Staged,
) -> list[Tally]:
    """Stage usage_daily, restatement and tally of one stream and date from its staged usage_event.

    `why` is what an operator gave as reason, empty where nobody was asked; it goes with the cause.
    """
    event = out.tables["usage_event"][
        layout.partition({"stream": contract.stream, "usage_date": usage_date})
    ]
    partition = {"usage_date": usage_date, "stream": contract.stream}
    with sql.connect(settings) as engine:
        staged.give(engine, lake, "usage_event", "usage_event", [event] if event else [], folder)
        sql.create(
            engine, "daily_row", "usage/usage_daily", daily_labels=list(contract.labels.daily)
        )
        inputs = tuple(file["sha256"] for file in event["files"]) if event else ()
        out.add(engine, USAGE_DAILY, "FROM daily_row", partition, inputs)
        tallies = _tallies(engine, contract, usage_date)
        engine.register("tally_row", tally.table(tallies))
        ledger = {"stage": "aggregate", "stream": contract.stream, "date": usage_date}
        out.add(engine, TALLY, "FROM tally_row", ledger)
        cause = "; ".join(filter(None, (_cause(contract, base, usage_date), why)))
        _restate(engine, lake, contract, base, usage_date, cause, folder, out)
    return tallies


def _restate(
    engine: duckdb.DuckDBPyConnection,
    lake: Store,
    contract: Contract,
    base: Release,
    usage_date: date,
    cause: str,
    folder: Path,
    out: Staged,
) -> None:
    """A published total never changes in silence: old, new, difference and cause go to a ledger."""
    of_date = {"stream": contract.stream, "usage_date": usage_date}
    old = base.partitions("usage_daily", **of_date)
    earlier = base.partitions("restatement", **of_date)  # a total may have been taken back entirely
    if not old and not earlier:
        return
    replaced = max(entry["since"] for entry in (old or earlier).values())
    staged.give(engine, lake, "published_daily", "usage_daily", list(old.values()), folder)
    engine.execute("CREATE OR REPLACE TEMP VIEW usage_daily AS FROM daily_row")
    sql.create(engine, "restated", "usage/restatement", replaced=replaced, cause=cause)
    if sql.rows(engine, "FROM restated LIMIT 1"):
        partition = {
            "usage_date": usage_date,
            "stream": contract.stream,
            "replaced": str(replaced),
        }
        out.add(engine, RESTATEMENT, "FROM restated", partition)


def _cause(contract: Contract, base: Release, usage_date: date) -> str:
    """Landed dates whose arrivals are not those that the published events were made from."""
    events = base.partitions("usage_event", stream=contract.stream, usage_date=usage_date)
    used = {sha256 for entry in events.values() for sha256 in entry["inputs"]}
    arrivals = base.partitions("usage_arrival", stream=contract.stream, usage_date=usage_date)
    landed = sorted(
        layout.partition_values(name)["landed_date"]
        for name, entry in arrivals.items()
        if _unused(entry, used)
    )
    if landed:
        return f"arrivals landed on {', '.join(landed)}"
    if used - {sha for entry in arrivals.values() for sha in _hashes(entry)}:
        return "arrivals replaced or removed, or a correction that counts on another date"
    return "a correction that landed on another usage date, or the code or contract"


def _unused(entry: Entry, used: set[str]) -> bool:
    return not set(_hashes(entry)) <= used


def _hashes(entry: Entry) -> list[str]:
    return [file["sha256"] for file in entry["files"]]


def _tallies(
    engine: duckdb.DuckDBPyConnection, contract: Contract, usage_date: date
) -> list[Tally]:
    """Events in = events summed, quantity in = quantity out, by meter, where there are any; OutOfBalance
    otherwise."""
    scope: dict[str, Any] = {
        "stage": "aggregate",
        "stream": contract.stream,
        "date": usage_date,
        "scope": f"usage_date={usage_date}",
    }
    came = sql.rows(engine, TOTALS.format(rows="1", table="usage_event"))
    if not came:
        return []
    went = {
        (row["meter"], row["unit"]): row
        for row in sql.rows(engine, TOTALS.format(rows="events", table="daily_row"))
    }
    by_meter = [
        Tally(
            **scope,
            meter=row["meter"],
            unit=row["unit"],
            rows_in=row["n"],
            rows_out=went[row["meter"], row["unit"]]["n"],
            quantity_in=row["quantity"],
            quantity_out=went[row["meter"], row["unit"]]["quantity"],
        )
        for row in came
    ]
    rows_in, rows_out = sum(row["n"] for row in came), sum(row["n"] for row in went.values())
    return [Tally(**scope, rows_in=rows_in, rows_out=rows_out), *by_meter]
