"""SQL that reads each different text once: times and JSON of a bill repeat, and cost more than to tell them apart."""

from collections.abc import Sequence

import duckdb
import numpy as np
import pyarrow as pa

from etl import sql

NUMBER = "different_number"
CODES = 1 << 62


def planned(engine: duckdb.DuckDBPyConnection, value: str, number: int) -> sql.Planned:
    """What read() and read_rows() ask: `value`, SQL, of each row; `number` tells it from others of this engine."""
    name = f"different_{number}"
    return sql.Planned(engine, name, f"SELECT {value} AS value FROM {name} ORDER BY {NUMBER}")


def read(value: sql.Planned, columns: Sequence[pa.ChunkedArray]) -> list[pa.Array]:
    """`value`, of a column `text`, of each of these columns, all of one type."""
    encoded = [one.combine_chunks().dictionary_encode() for one in columns]
    texts = pa.chunked_array([one.dictionary for one in encoded])
    values = _evaluate(value, pa.table({"text": texts}))
    found, first = [], 0
    for one in encoded:
        found.append(values.slice(first, len(one.dictionary)).take(one.indices))
        first += len(one.dictionary)
    return found


def read_rows(value: sql.Planned, names: Sequence[str], rows: pa.Table) -> pa.Array:
    """`value`, of the columns `names`, of each row."""
    chosen = rows.select(list(names))
    codes, different = np.zeros(rows.num_rows, np.int64), 1
    for column in chosen.columns:
        one = column.combine_chunks().dictionary_encode(null_encoding="encode")
        if different * len(one.dictionary) >= CODES:
            return _evaluate(value, chosen)
        codes = codes * len(one.dictionary) + one.indices.to_numpy(zero_copy_only=False)
        different *= max(len(one.dictionary), 1)
    places = pa.array(codes).dictionary_encode().indices
    first = np.zeros(len(places.unique()), np.int64)
    numbers = places.to_numpy()
    first[numbers[::-1]] = np.arange(rows.num_rows)[::-1]
    return _evaluate(value, chosen.take(first)).take(places)


def is_told_apart(kind: pa.DataType) -> bool:
    """Whether values of this type can be told apart here."""
    return pa.types.is_string(kind) or pa.types.is_timestamp(kind)


def _evaluate(value: sql.Planned, rows: pa.Table) -> pa.Array:
    numbered = rows.append_column(NUMBER, pa.array(np.arange(rows.num_rows)))
    return value.over(numbered).to_arrow_table()["value"].combine_chunks()
