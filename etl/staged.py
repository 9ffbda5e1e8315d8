"""What a run has made but not published: files under their final keys, and the entries that will name them.

A staged file that no release names is invisible; a rerun makes the same file under the same key.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import duckdb
import pyarrow as pa

from etl import lake, layout, shapes, sql
from etl.parallel import ahead
from etl.privacy import quote
from etl.release import Changes, Entry, Release, files
from etl.store import Store
from etl.tables import ALL, Table

FETCHES_AT_ONCE = 8


@dataclass
class Staged:
    """Entries by table and partition, as a Change will publish them; None removes a partition."""

    store: Store
    folder: Path
    contract: str
    key_id: str  # of the pseudonyms
    tables: Changes = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    def add(
        self,
        engine: duckdb.DuckDBPyConnection,
        table: Table,
        query: str,
        partition: Mapping[str, object],
        inputs: tuple[str, ...] = (),
    ) -> Entry | None:
        """Write the rows of `query` as the only file of a partition; no rows remove the partition."""
        file = lake.export(engine, query, table, self._scratch("export"))
        if file is None:
            self.remove(table, layout.partition(partition))
            return None
        totals = control_totals(engine, table, file.path)
        return self.add_file(table, file, partition, inputs, totals)

    def in_order(self, table: Table, rows: Iterable[pa.Table]) -> lake.File:
        """A file of rows that come in the table's total order; nothing is sorted, and nothing is staged yet."""
        stream = lake.Stream(self._scratch("in-order"), table)
        with closing(ahead(rows)) as ready:
            for some in ready:
                stream.write(some)
        return stream.close()

    def add_file(
        self,
        table: Table,
        file: lake.File,
        partition: Mapping[str, object],
        inputs: tuple[str, ...] = (),
        totals: Mapping[str, str] | None = None,
    ) -> Entry:
        """Upload a file as the only one of a partition; it is removed from scratch."""
        name = layout.partition(partition)
        key = layout.data(table.name, name, file.sha256)
        self.store.create_file(key, file.path, file.sha256)
        entry = {
            "files": [{"key": key, "sha256": file.sha256, "bytes": file.bytes, "rows": file.rows}],
            "shape": table.shape,
            "totals": dict(totals or {}),
            "contract": self.contract,
            "key_id": self.key_id,
            "inputs": sorted(inputs),
        }
        file.path.unlink()
        self.tables.setdefault(table.name, {})[name] = entry
        return entry

    def add_rows(self, table: Table, rows: pa.Table, partition: Mapping[str, object]) -> None:
        """A small table as the only file of a partition; no rows remove it."""
        if not rows.num_rows:
            return self.remove(table, layout.partition(partition))
        stream = lake.Stream(self._scratch("rows"), table)
        stream.write(rows.sort_by([(name, "ascending") for name in table.order]))
        self.add_file(table, stream.close(), partition)
        return None

    def remove(self, table: Table, name: str) -> None:
        self.tables.setdefault(table.name, {})[name] = None

    def _scratch(self, name: str) -> Path:
        """Never the same twice: the engine may take a file for the one that it read before at its path."""
        return self.folder / f"{name}-{next(self.numbers)}.parquet"


def control_totals(engine: duckdb.DuckDBPyConnection, table: Table, path: Path) -> dict[str, str]:
    """ "meter unit" -> exact quantity of a file as it was written, for tables that hold quantities."""
    if not {"meter", "unit", "quantity"} <= table.sql_columns.keys():
        return {}
    found = sql.rows(
        engine,
        "SELECT meter || ' ' || unit AS meter_unit, sum(quantity)::DECIMAL(38,9)::VARCHAR AS quantity "
        f"FROM read_parquet({quote(str(path))}, hive_partitioning = false) GROUP BY ALL ORDER BY ALL",
    )
    return {row["meter_unit"]: row["quantity"] for row in found}


def fetch(store: Store, entries: list[Entry], folder: Path) -> list[Path]:
    """Published or staged files on scratch, each checked against its sha256."""
    folder.mkdir(parents=True, exist_ok=True)

    def get(one: dict) -> Path:
        return store.fetch_verified(
            one["key"], folder / one["key"].replace("/", "_"), one["sha256"]
        )

    with ThreadPoolExecutor(FETCHES_AT_ONCE) as pool:
        return list(pool.map(get, files(entries)))


def give(
    engine: duckdb.DuckDBPyConnection,
    store: Store,
    name: str,
    table: str,
    entries: list[Entry],
    folder: Path,
) -> None:
    """Bind partitions of a table under a name; without any, the table is empty."""
    bind(engine, name, ALL[table], entries, fetch(store, entries, folder / name))


def bind(
    engine: duckdb.DuckDBPyConnection,
    name: str,
    table: Table,
    entries: list[Entry],
    paths: list[Path],
) -> None:
    """Bind the files of partitions where they lie on scratch, in the order of fetch()."""
    select = shapes.select(table, entries, map(str, paths))
    engine.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {select}")


def partitions(release: Release, table: str, **values: object) -> list[Entry]:
    return list(release.partitions(table, **values).values())
