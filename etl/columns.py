"""What a table of the lake is made of: columns with their types in Parquet and in the engine."""

import hashlib
from dataclasses import dataclass

import pyarrow as pa

TYPES = {
    "string": (pa.string(), "VARCHAR"),
    "bigint": (pa.int64(), "BIGINT"),
    "integer": (pa.int32(), "INTEGER"),
    "hash": (pa.uint64(), "UBIGINT"),
    "date": (pa.date32(), "DATE"),
    "timestamp": (pa.timestamp("us"), "TIMESTAMP"),
    "quantity": (pa.decimal128(38, 9), "DECIMAL(38,9)"),
    "amount": (pa.decimal128(38, 18), "DECIMAL(38,18)"),
    "labels": (pa.map_(pa.string(), pa.string()), "MAP(VARCHAR, VARCHAR)"),
}


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    nullable: bool
    meaning: str


@dataclass(frozen=True)
class Table:
    """Columns may be added later, and then may be null: in what was published before they are."""

    name: str
    grain: str
    partition: tuple[str, ...]
    order: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, TYPES[c.type][0], c.nullable) for c in self.columns])

    @property
    def sql_columns(self) -> dict[str, str]:
        return {c.name: TYPES[c.type][1] for c in self.columns}

    @property
    def shape(self) -> str:
        """Differs as soon as a name or a type does: files of one shape hold the same columns."""
        text = "\n".join(f"{c.name} {c.type}" for c in self.columns)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def columns(text: str) -> tuple[Column, ...]:
    """One column a line: name, type (a question mark: may be null), meaning."""
    rows = (line.split(None, 2) for line in text.strip().splitlines())
    return tuple(Column(n, t.rstrip("?"), t.endswith("?"), meaning) for n, t, meaning in rows)
