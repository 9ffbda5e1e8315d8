"""What was published of objects that cannot be read now, carried into their landed dates as it is.

A landed date is normalized whole. Leaving such an object out would take its rows back, although nothing
says that they were wrong: they stay, with the manifest entry and tallies of the version that was read.
"""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import duckdb

from etl import sql, staged
from etl.release import Entry, Release
from etl.store import Store
from etl.tables import MANIFEST, QUARANTINE, TALLY, USAGE_ARRIVAL

TABLES = {
    USAGE_ARRIVAL.name: ("landed_date", "raw_object_key"),
    QUARANTINE.name: ("landed_date", "raw_object_key"),
    MANIFEST.name: ("landed_date", "raw_object_key"),
    TALLY.name: ("date", "scope"),
}


def give(
    engine: duckdb.DuckDBPyConnection,
    store: Store,
    base: Release,
    stream: str,
    dates: Iterable[date],
    keys: Iterable[str],
    folder: Path,
) -> None:
    """Bind carried_<table>: rows of these dates that `base` holds of these objects."""
    days = sorted(dates)
    engine.execute("CREATE OR REPLACE TEMP TABLE carried_key (key VARCHAR)")
    for key in sorted(set(keys)):
        engine.execute("INSERT INTO carried_key VALUES (?)", [key])
    some = engine.execute("SELECT count(*) FROM carried_key").fetchone() != (0,)
    for table, (day_column, key_column) in TABLES.items():
        entries = [
            entry
            for day in (days if some else ())
            for entry in _published(base, table, stream, day_column, day)
        ]
        staged.give(engine, store, f"published_{table}", table, entries, folder)
        engine.execute(
            f"CREATE OR REPLACE TEMP VIEW carried_{table} AS FROM published_{table} "
            f"SEMI JOIN carried_key ON key = {key_column}"
        )


def rows(engine: duckdb.DuckDBPyConnection, landed: date) -> int:
    """Measures that are carried into a landed date."""
    query = "SELECT coalesce(sum(rows), 0)::BIGINT AS n FROM carried_manifest WHERE landed_date = ?"
    return sql.rows(engine, query, [landed])[0]["n"]


def _published(base: Release, table: str, stream: str, column: str, day: date) -> list[Entry]:
    stage = {"stage": "normalize"} if table == TALLY.name else {}
    return staged.partitions(base, table, stream=stream, **{column: day}, **stage)
