"""Arrivals of one usage date -> one row a measure of an identity; repeats and corrections named and counted.

The first delivery of a record wins, by (delivered_at, object key, line), also where it counts on another
date. Which other dates matter is found through the small index `usage_key`, then decided on the rows.
"""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from etl import layout, sql, staged, tally
from etl.contract import Contract
from etl.release import Entry, Release
from etl.settings import Settings
from etl.staged import Staged
from etl.store import Store
from etl.tables import CORRECTION, DUPLICATE, TALLY, USAGE_EVENT
from etl.tally import Tally


def deduplicate(
    settings: Settings,
    lake: Store,
    contract: Contract,
    base: Release,
    usage_date: date,
    folder: Path,
    out: Staged,
) -> list[Tally]:
    """Stage usage_event, duplicate, correction and tally of one stream and date."""
    own = base.partitions("usage_arrival", stream=contract.stream, usage_date=usage_date)
    with sql.connect(settings) as engine:
        foreign = _foreign(engine, lake, contract, base, usage_date, folder)
        staged.give(engine, lake, "arrival", "usage_arrival", list(own.values()), folder)
        staged.give(engine, lake, "foreign_arrival", "usage_arrival", foreign, folder)
        sql.create(engine, "rival", "usage/arrival_rival")
        sql.create(engine, "duplicate_row", "usage/duplicate")
        sql.create(engine, "correction_row", "usage/correction")
        sql.view(
            engine, "event_row", "usage/usage_event"
        )  # as wide as the arrivals: not kept twice
        # of other dates only a verdict is taken: a new file there that leaves it alone is no change here
        inputs = tuple(file["sha256"] for entry in own.values() for file in entry["files"])
        partition = {"stream": contract.stream, "usage_date": usage_date}
        out.add(engine, USAGE_EVENT, "FROM event_row", partition, inputs)
        out.add(engine, DUPLICATE, "FROM duplicate_row", partition)
        out.add(engine, CORRECTION, "FROM correction_row", partition)
        tallies = _tallies(engine, contract, usage_date)
        engine.register("tally_row", tally.table(tallies))
        ledger = {"stage": "deduplicate", "stream": contract.stream, "date": usage_date}
        out.add(engine, TALLY, "FROM tally_row", ledger)
    return tallies


def _foreign(
    engine: duckdb.DuckDBPyConnection,
    lake: Store,
    contract: Contract,
    base: Release,
    usage_date: date,
    folder: Path,
) -> list[Entry]:
    """Arrivals of other dates in the deduplication window that share a key with this date."""
    window = timedelta(days=contract.discovery.late_window_days + 1)
    keys = base.partitions("usage_key", stream=contract.stream)
    near = {
        name: entry for name, entry in keys.items() if abs(_usage_date(name) - usage_date) <= window
    }
    own = [entry for name, entry in near.items() if _usage_date(name) == usage_date]
    other = [entry for name, entry in near.items() if _usage_date(name) != usage_date]
    staged.give(engine, lake, "own_key", "usage_key", own, folder)
    staged.give(engine, lake, "other_key", "usage_key", other, folder)
    return [
        entry
        for row in sql.rows(engine, sql.model("usage/foreign_date"))
        for entry in base.partitions("usage_arrival", stream=contract.stream, **row).values()
    ]


def _usage_date(name: str) -> date:
    return date.fromisoformat(layout.partition_values(name)["usage_date"])


def _tallies(
    engine: duckdb.DuckDBPyConnection, contract: Contract, usage_date: date
) -> list[Tally]:
    """One tally a meter and one over all; OutOfBalance unless each adds up."""
    scope: dict[str, Any] = {
        "stage": "deduplicate",
        "stream": contract.stream,
        "date": usage_date,
        "scope": f"usage_date={usage_date}",
    }
    by_meter = sql.rows(engine, sql.model("usage/deduplicate_tally"))
    names = ("rows_in", "rows_out", "rows_duplicate", "rows_voided", "rows_void")
    whole = {name: sum(row[name] for row in by_meter) for name in names}
    return [Tally(**scope, **whole), *(Tally(**scope, **row) for row in by_meter)]
