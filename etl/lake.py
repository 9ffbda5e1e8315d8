"""Parquet out: sorted rows in, the same bytes every time. pyarrow.parquet lives here.

Fixed writer options and full row groups: the bytes depend on the rows alone, not on how the engine
happened to cut its batches.
"""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from etl.tables import Table

ROW_GROUP_ROWS = 122_880
BATCH_ROWS = 16_384
if "jemalloc" in pa.supported_memory_backends():
    # the default gives large buffers back at once, and their pages cost as much again: a sixth of a bill's CPU time
    pa.set_memory_pool(pa.jemalloc_memory_pool())
UNIQUE = {
    "idempotency_key",
    "record_key",
    "raw_text",
    "source_event_id",
    "key_hash",
    "corrects_hash",
    "x_row_key",
}
DELTA = {"timestamp", "bigint"}
VALUES = {
    "labels",
    "amount",
}  # amounts of a bill differ: a dictionary doubles the time and adds a quarter


@dataclass(frozen=True)
class File:
    """A Parquet file on local disk and what a release says of it."""

    path: Path
    sha256: str
    bytes: int
    rows: int


def export(
    connection: duckdb.DuckDBPyConnection, query: str, table: Table, path: Path
) -> File | None:
    """Write the rows of `query` in the table's total order; None where there are no rows.

    The order makes the file: `query` must give each row once, and the table's order must be total.
    """
    columns = ", ".join(f"({name})::{kind} AS {name}" for name, kind in table.sql_columns.items())
    order = ", ".join(f"{name} NULLS FIRST" for name in table.order)
    relation = connection.sql(f"SELECT {columns} FROM ({query}) ORDER BY {order}")
    stream = Stream(path, table)
    for batch in relation.to_arrow_reader(ROW_GROUP_ROWS):
        stream.write(pa.Table.from_batches([batch]))
    file = stream.close()
    if not file.rows:
        path.unlink()
        return None
    return file


def writer(path: Path, table: Table) -> pq.ParquetWriter:
    """For rows on their way between stages, cheap to write: what is published goes another way."""
    passing = {"compression": "lz4", "write_statistics": False, "write_page_checksum": False}
    return pq.ParquetWriter(path, table.schema, **_options(table) | passing)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shaped(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows in exactly this schema; raises pyarrow.ArrowInvalid on a null where none may be."""
    return rows.combine_chunks().cast(schema)


def _options(table: Table) -> dict:
    plain = [c.name for c in table.columns if c.type in DELTA or c.name in UNIQUE]
    names = [c.name for c in table.columns if c.name not in plain and c.type not in VALUES]
    return {
        "compression": "zstd",
        "use_dictionary": names,
        "column_encoding": {
            c.name: "DELTA_BINARY_PACKED" for c in table.columns if c.type in DELTA
        },
        "write_page_checksum": True,
        "store_schema": False,
    }


def column_names(path: Path) -> list[str]:
    """Columns of somebody else's Parquet file; raises pyarrow.ArrowInvalid where it is none."""
    return pq.read_schema(path).names


def batches(path: Path, columns: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """Row batches of a Parquet file in its own order, some of its columns, with their types."""
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(BATCH_ROWS, columns=list(columns))


def rows(path: Path, table: Table) -> Iterator[pa.Table]:
    """Rows of one of our files in its order, a row group at a time; a column that it was written without is
    null."""
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            group = file.read_row_group(number, use_threads=False)
            for field in table.schema:
                if field.name not in group.schema.names:
                    group = group.append_column(field, pa.nulls(len(group), field.type))
            yield group.select(table.schema.names)


class Stream:
    """One Parquet file of tables in the order in which they come; the bytes depend on the rows alone.

    For rows that are in the table's total order already, whatever their number: nothing is sorted.
    """

    def __init__(self, path: Path, table: Table) -> None:
        self._path, self._schema, self._rows = path, table.schema, 0
        self._waiting: list[pa.Table] = []
        self._writer = pq.ParquetWriter(path, table.schema, **_options(table))
        self._encoder = ThreadPoolExecutor(1)  # while the next rows are made
        self._written: Future[None] | None = None

    def write(self, rows: pa.Table) -> None:
        self._waiting.append(rows)
        self._rows += rows.num_rows
        while sum(one.num_rows for one in self._waiting) >= ROW_GROUP_ROWS:
            whole = pa.concat_tables(self._waiting)
            self._group(whole.slice(0, ROW_GROUP_ROWS))
            self._waiting = [whole.slice(ROW_GROUP_ROWS)]

    def close(self) -> File:
        """The finished file; a stream without rows has a file too."""
        if rest := [one for one in self._waiting if one.num_rows]:
            self._group(pa.concat_tables(rest))
        self._wait()
        self._encoder.shutdown()
        self._writer.close()
        size = self._path.stat().st_size
        return File(self._path, sha256_of(self._path), size, self._rows)

    def _group(self, rows: pa.Table) -> None:
        """One row group waits at most, so that memory stays bounded."""
        self._wait()
        self._written = self._encoder.submit(self._encode, rows)

    def _encode(self, rows: pa.Table) -> None:
        self._writer.write_table(shaped(rows, self._schema), row_group_size=ROW_GROUP_ROWS)

    def _wait(self) -> None:
        if self._written:
            self._written.result()
