"""What the statement of a day needs of other days: as few partitions as decide its gaps and its voids.

Which day holds the number before an object, or the target of a void, nobody knows beforehand. Nearly always the days
beside it do; further ones are read only for streams of which something is still undecided, at last all of them.
"""

from collections.abc import Collection
from datetime import date, timedelta
from pathlib import Path

import duckdb

from etl import layout, sql, staged
from etl.release import Entry, Release
from etl.store import Store
from etl.tables import ALL, CORRECTION, MANIFEST

REACH_DAYS = (1, 10, 100)
DECIDED_BY = {  # table -> the date of its partitions, and what names streams that are undecided
    MANIFEST.name: ("landed_date", "reconcile/sequence_open"),
    CORRECTION.name: ("usage_date", "reconcile/void_open"),
}


def give(
    engine: duckdb.DuckDBPyConnection, store: Store, release: Release, day: date, folder: Path
) -> None:
    """Bind both tables, with all rows that the statement of a day depends on."""
    for table in DECIDED_BY:
        _give(engine, store, release, day, folder, table)


def _give(
    engine: duckdb.DuckDBPyConnection,
    store: Store,
    release: Release,
    day: date,
    folder: Path,
    table: str,
) -> None:
    column, question = DECIDED_BY[table]
    further = dict(release.partitions(table))
    undecided = {layout.partition_values(name)["stream"] for name in further}
    entries: list[Entry] = []
    files: list[Path] = []
    for days in (*REACH_DAYS, None):
        near = [name for name in further if _within(name, column, day, days, undecided)]
        more = [further.pop(name) for name in near]
        entries, files = entries + more, files + staged.fetch(store, more, folder / table)
        staged.bind(engine, table, ALL[table], entries, files)
        undecided = {row["stream"] for row in sql.rows(engine, sql.model(question), {"day": day})}
        if not undecided:
            return


def _within(name: str, column: str, day: date, days: int | None, streams: Collection[str]) -> bool:
    if layout.partition_values(name)["stream"] not in streams:
        return False
    return days is None or abs(layout.date_of(name, column) - day) <= timedelta(days=days)
