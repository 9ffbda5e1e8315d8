"""Arrivals of one usage date -> one row a measure of an identity; repeats and corrections named and counted.

The first delivery of a record wins, by (delivered_at, object key, line), also where it counts on another
date. Which other dates matter is found through the small index `usage_key`, then decided on the rows.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from etl import lake, layout, sql, staged, tally
from etl.contract import Contract
from etl.privacy import quote
from etl.release import Entry, Release
from etl.settings import Settings
from etl.staged import Staged
from etl.store import Store
from etl.tables import CORRECTION, DUPLICATE, TALLY, USAGE_ARRIVAL, USAGE_EVENT
from etl.tally import Tally

MEASURES_AT_ONCE = 250_000  # compared with each other in 200 MB


def deduplicate(
    settings: Settings,
    store: Store,
    contract: Contract,
    base: Release,
    usage_date: date,
    folder: Path,
    out: Staged,
) -> list[Tally]:
    """Stage usage_event, duplicate, correction and tally of one stream and date."""
    own = base.partitions("usage_arrival", stream=contract.stream, usage_date=usage_date)
    with sql.connect(settings) as engine:
        foreign = _foreign(engine, store, contract, base, usage_date, folder)
        entries = [own[name] for name in sorted(own)]
        paths = staged.fetch(store, entries, folder / "arrival")
        staged.bind(engine, "arrival", USAGE_ARRIVAL, entries, paths)
        staged.give(engine, store, "foreign_arrival", "usage_arrival", foreign, folder)
        far = _far(engine, store, contract, base, usage_date, folder)
        staged.give(engine, store, "far_arrival", "usage_arrival", far, folder)
        compare_rivals(engine)
        correct(engine, _reach(contract).days)
        file = out.in_order(
            USAGE_EVENT, _events({path: _set_aside(engine, path) for path in paths})
        )
        sql.give(engine, {"event_row": [file.path]}, {})
        tallies = _tallies(engine, contract, usage_date)
        # of other dates only a verdict is taken: a new file there that leaves it alone is no change here
        inputs = tuple(file["sha256"] for entry in own.values() for file in entry["files"])
        partition = {"stream": contract.stream, "usage_date": usage_date}
        if file.rows:
            totals = staged.control_totals(engine, USAGE_EVENT, file.path)
            out.add_file(USAGE_EVENT, file, partition, inputs, totals)
        else:
            out.remove(USAGE_EVENT, layout.partition(partition))
        out.add(engine, DUPLICATE, "FROM duplicate_row", partition)
        out.add(engine, CORRECTION, "FROM correction_row", partition)
        engine.register("tally_row", tally.table(tallies))
        ledger = {"stage": "deduplicate", "stream": contract.stream, "date": usage_date}
        out.add(engine, TALLY, "FROM tally_row", ledger)
    return tallies


def compare_rivals(engine: duckdb.DuckDBPyConnection, at_once: int = MEASURES_AT_ONCE) -> None:
    """arrival, foreign_arrival -> duplicate_row.

    A slice of the identities at a time, of about so many measures: memory does not grow with the repeats.
    """
    sql.create(engine, "rival_hash", "usage/rival_hash")
    (measures,) = engine.execute("SELECT coalesce(sum(measures), 0) FROM rival_hash").fetchall()[0]
    slices = int(measures) // at_once + 1
    sql.create(engine, "every_rival", "usage/rival", slices=slices)
    for number in range(slices):
        engine.execute(
            f"CREATE OR REPLACE TEMP VIEW rival AS FROM every_rival WHERE slice = {number}"
        )
        sql.create(engine, "first_delivery", "usage/first_delivery")
        keep = sql.append if number else sql.create
        keep(engine, "duplicate_row", "usage/duplicate")


def correct(engine: duckdb.DuckDBPyConnection, reach: int) -> None:
    """arrival, foreign_arrival, far_arrival, duplicate_row -> repeated_void and correction_row."""
    sql.create(engine, "repeated_void", "usage/repeated_void", reach=reach)
    sql.create(engine, "correction_row", "usage/correction", reach=reach)


def _events(places: dict[Path, np.ndarray]) -> Iterator[pa.Table]:
    """Arrivals of the files without those at these places, in their order: by landed date, then as they came."""
    for path, aside in places.items():
        first = 0
        for rows in lake.rows(path, USAGE_ARRIVAL):
            here = aside[np.searchsorted(aside, first) : np.searchsorted(aside, first + len(rows))]
            kept = np.ones(len(rows), bool)
            kept[here - first] = False
            first += len(rows)
            yield rows.filter(pa.array(kept)) if len(here) else rows


def _set_aside(engine: duckdb.DuckDBPyConnection, path: Path) -> np.ndarray:
    engine.execute(
        "CREATE OR REPLACE TEMP VIEW arrival_place AS SELECT raw_object_key, raw_line, file_row_number AS place "
        f"FROM read_parquet({quote(str(path))}, hive_partitioning = false, file_row_number = true)"
    )
    return engine.execute(sql.model("usage/set_aside")).fetchnumpy()["place"]


def _foreign(
    engine: duckdb.DuckDBPyConnection,
    store: Store,
    contract: Contract,
    base: Release,
    usage_date: date,
    folder: Path,
) -> list[Entry]:
    """Arrivals of other dates in the deduplication window that share a key with this date."""
    window = _reach(contract)
    keys = base.partitions("usage_key", stream=contract.stream)
    near = {
        name: entry for name, entry in keys.items() if abs(_usage_date(name) - usage_date) <= window
    }
    own = [entry for name, entry in near.items() if _usage_date(name) == usage_date]
    other = [entry for name, entry in near.items() if _usage_date(name) != usage_date]
    staged.give(engine, store, "own_key", "usage_key", own, folder)
    staged.give(engine, store, "other_key", "usage_key", other, folder)
    return [
        entry
        for row in sql.rows(engine, sql.model("usage/foreign_date"))
        for entry in base.partitions("usage_arrival", stream=contract.stream, **row).values()
    ]


def _far(
    engine: duckdb.DuckDBPyConnection,
    store: Store,
    contract: Contract,
    base: Release,
    usage_date: date,
    folder: Path,
) -> list[Entry]:
    """Arrivals of dates beyond the window that claim the identity of a void which bears on this date."""
    window = _reach(contract)
    sql.create(engine, "far_void", "usage/far_void")
    voids = {row["usage_date"] for row in sql.rows(engine, "SELECT usage_date FROM far_void")}
    far = [
        entry
        for name, entry in base.partitions("usage_key", stream=contract.stream).items()
        if abs(_usage_date(name) - usage_date) > window
        and any(abs(_usage_date(name) - one) <= window for one in voids)
    ]
    staged.give(engine, store, "far_key", "usage_key", far, folder)
    return [
        entry
        for row in sql.rows(engine, sql.model("usage/far_date"), {"reach": window.days})
        for entry in base.partitions("usage_arrival", stream=contract.stream, **row).values()
    ]


def _reach(contract: Contract) -> timedelta:
    """How far apart records may count and still repeat or correct one another."""
    return timedelta(days=contract.discovery.late_window_days + 1)


def _usage_date(name: str) -> date:
    return date.fromisoformat(layout.partition_values(name)["usage_date"])


def _tallies(
    engine: duckdb.DuckDBPyConnection, contract: Contract, usage_date: date
) -> list[Tally]:
    """One tally a meter and one over all, none of a date that has lost its arrivals; OutOfBalance unless each
    adds up."""
    scope: dict[str, Any] = {
        "stage": "deduplicate",
        "stream": contract.stream,
        "date": usage_date,
        "scope": f"usage_date={usage_date}",
    }
    by_meter = sql.rows(engine, sql.model("usage/deduplicate_tally"))
    if not by_meter:
        return []
    names = ("rows_in", "rows_out", "rows_duplicate", "rows_voided", "rows_void")
    whole = {name: sum(row[name] for row in by_meter) for name in names}
    return [Tally(**scope, **whole), *(Tally(**scope, **row) for row in by_meter)]
