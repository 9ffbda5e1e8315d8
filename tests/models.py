"""Builders of literal rows for SQL models, every field defaulted; and one way to run one."""

import atexit
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import date, datetime
from decimal import Context, Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from etl import contract, mapping, sql, tables
from etl.columns import TYPES
from etl.manifest import Landed
from etl.settings import ROOT, Location, Settings
from etl.store import Pinned

DAY, NEXT = date(2026, 11, 18), date(2026, 11, 19)
NOON, EVENING = datetime(2026, 11, 18, 12), datetime(2026, 11, 18, 23)
SETTINGS = Settings(
    landing=Location("landing", ""),
    lake=Location("lake", ""),
    contracts=ROOT / "contracts",
    pii_key=b"0123456789abcdef",
    memory="256MB",
    threads=1,
    scratch=Path(tempfile.gettempdir()),
    sweep_after_days=7,
)
Rows = list[dict[str, Any]]
OF_OBJECT = {"record_id": "BIGINT", "object_id": "INTEGER"}
RECORD = OF_OBJECT | {
    name: tables.USAGE_ARRIVAL.sql_columns.get(name, "VARCHAR")
    for name in mapping.LINEAGE
    if name not in OF_OBJECT
}
BATCH = {"record_id": "BIGINT", "object_id": "INTEGER", "raw": "BLOB", "reader_reason": "VARCHAR"}
JUDGED = OF_OBJECT | tables.USAGE_ARRIVAL.sql_columns | {"reject_reason": "VARCHAR"}


def run(model: str, given: Mapping[str, pa.Table], **params: Any) -> Rows:
    """Rows of sql/<model>.sql over its inputs by name, in the model's own order."""
    engine = plain_engine()
    try:
        for name, rows in given.items():
            engine.register(name, rows)
        return sql.rows(engine, sql.model(model), params or None)
    finally:
        for name in given:
            engine.unregister(name)


def arrivals(rows: Rows) -> pa.Table:
    return rows_of(tables.USAGE_ARRIVAL, rows)


def rows_of(table: tables.Table, rows: Rows) -> pa.Table:
    return pa.Table.from_pylist(rows, table.schema)


def rows_like(columns: Mapping[str, str], rows: Rows) -> pa.Table:
    """Rows in columns that are given as SQL types."""
    arrow = {kind: one for one, kind in TYPES.values()} | {"BLOB": pa.binary()}
    return pa.Table.from_pylist(rows, pa.schema([(n, arrow[kind]) for n, kind in columns.items()]))


def value(expression: str, *params: Any) -> Any:
    """One value of a SQL expression that may use the house macros."""
    return plain_engine().execute(f"SELECT {expression}", list(params)).fetchone()[0]


def with_lineage(records: Rows, mapped: pa.Table) -> pa.Table:
    """Records, each with its mapped measures or with none."""
    engine = plain_engine()
    engine.register("lineage", rows_like(RECORD, records))
    engine.register("made", mapped)
    return engine.sql("FROM lineage LEFT JOIN made USING (record_id)").to_arrow_table()


@cache
def plain_engine(_: str = "") -> duckdb.DuckDBPyConnection:
    """One engine for all tests of a process: connecting takes longer than a model does."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(sql.connect(SETTINGS))


def key_of(name: str) -> str:
    """A made-up but well-formed key (64 hex digits) for a short name."""
    return name.encode().hex().ljust(64, "0")


def arrival(name: str = "k1", quantity: object = 1, **fields: Any) -> dict:
    """One measure of a delivered record; `name` makes its record_key, `corrects` its target's."""
    labels = fields.pop("labels", {"feature": "core"})
    target = fields.pop("corrects", None)
    day = fields.get("usage_date", DAY)
    moment = datetime.combine(day, NOON.time())
    meter = fields.get("meter", "api_calls")
    texts = {c.name: None for c in tables.USAGE_ARRIVAL.columns}
    base = {
        "idempotency_key": key_of(f"{name}/{meter}"),
        "record_key": key_of(name),
        "stream": "app_usage",
        "schema_version": "1.0.0",
        "source": "//app/a",
        "source_event_id": name,
        "record_kind": "usage",
        "corrects_key": target and key_of(target),
        "tenant_id": "t-1",
        "attribution": "event",
        "meter": "api_calls",
        "quantity": _decimal(quantity),
        "unit": "Requests",
        "sample_weight": 1,
        "derivation": "event",
        "event_time": moment,
        "period_start": moment,
        "period_end": moment,
        "usage_date": DAY,
        "time_quality": "source",
        "delivered_at": EVENING,
        "ingested_at": datetime(2026, 11, 19),
        "labels": list(labels.items()),
        "raw_object_key": "o1",
        "raw_object_etag": "e1",
        "raw_line": 1,
        "run_id": "app_usage/2026-11-18",
        "landed_date": DAY,
    }
    return texts | base | fields


def void(target: str, name: str = "v1", **fields: Any) -> dict:
    kind = {"record_kind": "void", "corrects": target, "meter": "void", "quantity": 0}
    return arrival(name, **kind | fields)


def adjust(target: str, quantity: object, name: str = "a1", **fields: Any) -> dict:
    return arrival(name, quantity, record_kind="adjust", corrects=target, **fields)


def judged(record_id: int = 0, reason: str | None = None, **fields: Any) -> dict:
    """A row as sql/usage/usage_arrival.sql gives it."""
    row = arrival(f"k{record_id}", **fields)
    return {"object_id": 0} | row | {"record_id": record_id, "reject_reason": reason}


def record(record_id: int = 0, **fields: Any) -> dict:
    """A record as the reader and the contract's identity left it."""
    base = {
        "record_id": record_id,
        "object_id": 0,
        "raw_object_key": "o1",
        "raw_object_etag": "e1",
        "raw_line": record_id + 1,
        "delivered_at": EVENING,
        "landed_date": DAY,
        "record_key": key_of(f"k{record_id}"),
    }
    return dict.fromkeys(RECORD) | base | fields


def measure(record_id: int = 0, quantity: object = 1, **fields: Any) -> dict:
    """What a contract's SELECT made of a record; NULL where it says nothing."""
    base = dict.fromkeys(mapping.MAPPED) | {
        "record_id": record_id,
        "object_id": 0,
        "source": "//app/a",
        "tenant_id": "t-1",
        "attribution": "event",
        "meter": "api_calls",
        "unit": "Requests",
        "quantity": _decimal(quantity),
        "event_time": NOON,
    }
    return base | fields


def batch(record_id: int = 0, **fields: Any) -> dict:
    base = {"record_id": record_id, "object_id": 0, "raw": b"{}", "reader_reason": None}
    return base | fields


def usage_key(name: str = "k1", **fields: Any) -> dict:
    target = fields.pop("corrects", None)
    base = {"stream": "app_usage", "usage_date": DAY, "landed_date": DAY, "delivered_at": EVENING}
    keys = {"key_hash": _hash(name), "corrects_hash": target and _hash(target)}
    return base | keys | fields


def daily(quantity: object = 1, **fields: Any) -> dict:
    labels = {"labels": fields.pop("labels")} if "labels" in fields else {}
    counts = {"weighted_quantity": _decimal(quantity), "events": 1, "sampled_events": 0}
    return arrival("k1", quantity, **labels) | counts | fields


def manifest(first: int | None = 0, records: int = 1, **fields: Any) -> dict:
    base = dict.fromkeys(tables.MANIFEST.sql_columns) | {
        "stream": "app_usage",
        "landed_date": DAY,
        "raw_object_key": f"o{first}",
        "sequence_scope": "0",
        "first_sequence": first,
        "outcome": "read",
        "records": records,
        "records_accepted": records,
        "records_refused": 0,
        "rows": records,
    }
    return base | fields


def quantity(text: str) -> Decimal:
    """As DuckDB gives a decimal(38,9)."""
    return Decimal(text).quantize(Decimal("1e-9"), context=Context(prec=60))


def normalized(stream: str, *lines: str) -> tuple[Rows, Rows]:
    """Real contract, real SELECT: (records as read, mapped measures), in the order of lines."""
    return _normalized(*_prepared(stream), *lines)


def normalized_by(promise: contract.Contract, *lines: str) -> tuple[Rows, Rows]:
    """The same with another contract."""
    engine = plain_engine("another contract")
    mapping.prepare(engine, promise)
    return _normalized(engine, promise, *lines)


def _normalized(
    engine: duckdb.DuckDBPyConnection, promise: contract.Contract, *lines: str
) -> tuple[Rows, Rows]:
    mapping.bind(engine, promise, _chunk(lines), [_landed()])
    mapping.map_records(engine)
    records = sql.rows(engine, "FROM record ORDER BY record_id")
    return records, sql.rows(engine, "FROM mapped ORDER BY record_id, meter")


@cache
def _prepared(stream: str) -> tuple[duckdb.DuckDBPyConnection, contract.Contract]:
    engine, promise = plain_engine(stream), contract.load(SETTINGS.contracts, stream)
    mapping.prepare(engine, promise)
    return engine, promise


def _chunk(lines: Sequence[str]) -> pa.Table:
    rows: list[Mapping[str, Any]] = [
        {"raw_line": n, "record": n, "line": line, "raw": line.encode(), "object_id": 0}
        for n, line in enumerate(lines, 1)
    ]
    return pa.Table.from_pylist(rows, mapping.CHUNK)


def _landed() -> Landed:
    return Landed(Pinned("o1", "e1", None, 1, EVENING), DAY, "0", 100)


def _decimal(number: object) -> Decimal | None:
    return None if number is None else Decimal(str(number))


def _hash(name: str) -> int:
    return int(key_of(name)[:16], 16)
