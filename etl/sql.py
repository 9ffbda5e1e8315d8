"""DuckDB: one way to connect, one way to run a model (a SELECT in sql/ over named inputs)."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa

from etl import bounds, privacy
from etl.settings import ROOT, Settings

SQL = ROOT / "sql"
BATCH_ROWS = 8_192  # what is larger is grown by moving it, and its memory is lost in pieces
Inputs = Mapping[str, pa.Table | list[Path]]
_idle: dict[tuple[int, int, str], list[duckdb.DuckDBPyConnection]] = {}  # of a process, by size


@contextmanager
def connect(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory engine bounded by the settings, in UTC, with the house macros; spills to scratch.

    To start one costs as much as a stage's work on a small day: one that ended well is lent again. What a
    borrower makes is temporary, and gone with its connection.
    """
    idle = _idle.setdefault((os.getpid(), settings.threads, settings.memory), [])
    with (
        bounds.named(settings),
        TemporaryDirectory(prefix="duckdb-", dir=settings.scratch) as spill,
    ):
        engine = _lent(idle, spill) or _started(settings, spill)
        try:
            with engine.cursor() as connection:
                connection.execute("SET TimeZone = 'UTC'")
                privacy.install(connection, settings.pii_key)
                yield connection
        except BaseException:
            engine.close()
            raise
        idle.append(engine)


def _lent(idle: list[duckdb.DuckDBPyConnection], spill: str) -> duckdb.DuckDBPyConnection | None:
    """An idle engine, unless it has spilled: then it cannot move to another folder."""
    try:
        engine = idle.pop()
    except IndexError:
        return None
    try:
        engine.execute(f"SET temp_directory = {privacy.quote(spill)}")
    except duckdb.NotImplementedException:
        engine.close()
        return None
    return engine


def _started(settings: Settings, spill: str) -> duckdb.DuckDBPyConnection:
    engine = duckdb.connect(
        config={
            "threads": settings.threads,
            "memory_limit": settings.memory,
            "temp_directory": spill,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            # it may give pages of a file that has been replaced under its name, as scratch files are
            "enable_external_file_cache": "false",
        }
    )
    engine.execute("SET preserve_insertion_order = false")
    privacy.install_screen(engine)
    for words in ("macros", "billing_macros"):
        engine.execute(model(words))
    return engine


def model(name: str) -> str:
    """Text of sql/<name>.sql."""
    return (SQL / f"{name}.sql").read_text()


def give(
    connection: duckdb.DuckDBPyConnection, inputs: Inputs, like: Mapping[str, Mapping[str, str]]
) -> None:
    """Bind inputs by name: an Arrow table, or Parquet files; no files give an empty view whose
    columns are those of `like[name]`."""
    for name, rows in inputs.items():
        if isinstance(rows, pa.Table):
            connection.register(name, rows)
        elif rows:
            files = ", ".join(privacy.quote(str(path)) for path in rows)
            connection.execute(
                f"CREATE OR REPLACE TEMP VIEW {name} AS "
                f"SELECT * FROM read_parquet([{files}], hive_partitioning = false)"
            )
        else:
            connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {empty(like[name])}")


class Planned:
    """A query over rows bound by a name: planned with the first rows, and run over others of the same columns.
    To plan a wide one takes as long as to run it over ten thousand rows."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
        self.query = query
        self._connection, self._name = connection, name
        self._rows: pa.Table | None = None

    def over(self, rows: pa.Table) -> duckdb.DuckDBPyConnection:
        known, self._rows = self._rows, rows
        # of other columns: the engine would read their memory as that of those it knows
        if known is None or not rows.schema.equals(known.schema):
            self._connection.register(self._name, self)
            self._connection.execute(f"PREPARE {self._name} AS {self.query}")
        return self._connection.execute(f"EXECUTE {self._name}")

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Asked for by each run (arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html)."""
        assert self._rows is not None
        return self._rows.__arrow_c_stream__(requested_schema)


def empty(columns: Mapping[str, str]) -> str:
    """A SELECT with these columns and no row."""
    typed = ", ".join(f"NULL::{kind} AS {name}" for name, kind in columns.items())
    return f"SELECT {typed} WHERE false"


def create(connection: duckdb.DuckDBPyConnection, table: str, name: str, **params: Any) -> None:
    """Run sql/<name>.sql into a temporary table."""
    query = f"CREATE OR REPLACE TEMP TABLE {table} AS {model(name)}"
    connection.execute(query, _used(name, params))


def append(connection: duckdb.DuckDBPyConnection, table: str, name: str) -> None:
    """Add the rows of sql/<name>.sql to a table that create() made."""
    connection.execute(f"INSERT INTO {table} {model(name)}")


def arrow(connection: duckdb.DuckDBPyConnection, name: str, **params: Any) -> pa.Table:
    """Rows of sql/<name>.sql, where they leave the engine at once."""
    return connection.execute(model(name), _used(name, params)).to_arrow_table(BATCH_ROWS)


def _used(name: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
    return {key: value for key, value in params.items() if f"${key}" in model(name)} or None


def view(connection: duckdb.DuckDBPyConnection, name: str, model_name: str) -> None:
    """Bind sql/<model_name>.sql by name without keeping its rows."""
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {model(model_name)}")


def rows(connection: duckdb.DuckDBPyConnection, query: str, params: Any = None) -> list[dict]:
    """A small result as dictionaries."""
    return dicts(connection.execute(query, params))


def dicts(cursor: duckdb.DuckDBPyConnection) -> list[dict]:
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def httpfs() -> Path:
    """The S3 reader of DuckDB, as shipped in its own wheel (no download at run time)."""
    pattern = "duckdb_extension_httpfs/extensions/*/httpfs.duckdb_extension"
    found = [path for folder in sys.path for path in Path(folder).glob(pattern)]
    return found[0]


def column_list(names: Iterable[str]) -> str:
    return ", ".join(names)
