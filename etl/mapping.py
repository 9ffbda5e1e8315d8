"""A contract as SQL: lines -> one text column a property, privacy applied; then the contract's own SELECT.

Views and tables this makes on a connection: `batch` (records as read), `parsed`, of which `record` shows lineage,
identity and the reader's judgement, and `raw` what the contract's SQL may see; `mapped` (what it made of that, with
the lineage that its record_id carried through it) and `measure` (what is mapped, and records without any measure).
"""

import re
from collections.abc import Sequence

import duckdb
import pyarrow as pa

from etl import readers, sql
from etl.contract import Contract, Property
from etl.errors import ContractError
from etl.manifest import Landed
from etl.privacy import quote
from etl.tables import USAGE_ARRIVAL

CHUNK = readers.SCHEMA.append(pa.field("object_id", pa.int32()))
LINEAGE = (
    *("object_id", "raw_object_key", "raw_object_etag", "raw_line", "delivered_at", "landed_date"),
    *("sequence_scope", "sequence_id", "record_key", "parse_reason"),
)
OPTIONAL = {
    name: kind
    for name, kind in USAGE_ARRIVAL.sql_columns.items()
    if name not in (*LINEAGE, "idempotency_key", "stream", "schema_version", "usage_date")
    and name not in ("time_quality", "ingested_at", "run_id")
}
MAPPED = (
    {"record_id": "BIGINT"} | OPTIONAL | {"sample_weight": "VARCHAR", "reject_reason": "VARCHAR"}
)
NEEDED = (
    *("record_id", "source", "attribution", "meter"),
    *("unit", "quantity", "event_time", "tenant_id"),
)
CARRIED = ("record_id", *(name for name in LINEAGE if name != "parse_reason"))
EXACT = {"quantity": ("DECIMAL", "INTEGER", "BIGINT")}  # a double would have lost digits


def prepare(engine: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    """Bind what the contract says as tables; ContractError where its SQL does not fit."""
    rules = [one.rule for one in contract.attribution]
    maps = [
        (one.rule, key, tenant) for one in contract.attribution for key, tenant in one.map.items()
    ]
    engine.execute(
        "CREATE OR REPLACE TEMP TABLE attribution_map(rule VARCHAR, key VARCHAR, tenant_id VARCHAR)"
    )
    if maps:
        engine.executemany("INSERT INTO attribution_map VALUES (?, ?, ?)", maps)
    engine.register("attribution_rule", pa.table({"rule": pa.array(rules, pa.string())}))
    meters = {"meter": list(contract.meters), "unit": list(contract.meters.values())}
    engine.register("meter_unit", pa.table(meters))
    try:
        bind(engine, contract, CHUNK.empty_table(), [])
        _show_parsed(engine, contract)
    except duckdb.OperationalError:
        raise  # memory or disk, not the contract
    except duckdb.Error as error:
        raise ContractError(
            f"{contract.stream}/{contract.version}.yaml: usage.reader.pattern or a physicalName of "
            f"schema cannot be read: {error}"
        ) from error
    _check(engine, contract)


def _check(engine: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    where = (
        f"{contract.stream}/{contract.version}.yaml: usage.mapping: sql/{contract.mapping.sql}.sql"
    )
    try:
        found = {
            row["column_name"]: row["column_type"]
            for row in sql.rows(engine, f"DESCRIBE {query(contract)}")
        }
        if "record_id" in found:
            _show_mapped(engine, contract, set(found))
    except duckdb.OperationalError:
        raise  # memory or disk, not the contract
    except (duckdb.Error, OSError) as error:
        raise ContractError(f"{where}: {error}") from error
    if unknown := sorted(found.keys() - MAPPED.keys()):
        raise ContractError(f"{where}: gives columns that usage_event/1 does not have: {unknown}")
    if missing := sorted({*NEEDED} - found.keys()):
        raise ContractError(f"{where}: does not give {missing}")
    if "corrects_key" in found and contract.identity.scope != "global":
        raise ContractError(
            f"{where}: gives corrects_key, which would find no record: usage.identity has scope: "
            f"{contract.identity.scope}, whose keys the SQL cannot know. Leave the column out, or use scope: global"
        )
    for column, kinds in EXACT.items():
        if not found[column].startswith(kinds):
            raise ContractError(f"{where}: {column} is {found[column]}: use exact_quantity(text)")


def bind(
    engine: duckdb.DuckDBPyConnection,
    contract: Contract,
    chunk: pa.Table,
    objects: Sequence[Landed],
) -> None:
    """Give the records of a chunk to what prepare has made."""
    numbers = pa.array(range(chunk.num_rows), pa.int64())
    engine.register("batch", chunk.append_column("record_id", numbers))
    engine.register("landed_object", _object_table(objects))
    engine.execute(f"CREATE OR REPLACE TEMP TABLE parsed AS {_parse(contract)}")


def map_records(engine: duckdb.DuckDBPyConnection) -> None:
    """Make `mapped`: the contract's SELECT over `raw`, with the columns that it leaves out as NULL."""
    engine.execute("CREATE OR REPLACE TEMP TABLE mapped AS FROM mapping")


def _show_parsed(engine: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    """Make `record` and `raw`. To the contract's SQL a record_id only tells records apart; it holds their lineage,
    so that a measure need not be joined to it."""
    lineage = sql.column_list(LINEAGE)
    engine.execute(f"CREATE OR REPLACE TEMP VIEW record AS SELECT record_id, {lineage} FROM parsed")
    carried = ", ".join(f"{name} := {name}" for name in CARRIED)
    visible = "".join(f", {_quoted(p.name)}" for p in contract.properties if p.privacy != "drop")
    engine.execute(
        f"CREATE OR REPLACE TEMP VIEW raw AS SELECT struct_pack({carried}) AS record_id, raw_object_key, "
        f"raw_line, delivered_at{visible} FROM parsed WHERE parse_reason IS NULL"
    )


def _show_mapped(engine: duckdb.DuckDBPyConnection, contract: Contract, columns: set[str]) -> None:
    """Make `mapping`, `mapped` and `measure`."""
    carried = ", ".join(f"made.record_id.{name} AS {name}" for name in CARRIED)
    mapped = ", ".join(
        f"{name if name in columns else 'NULL'}::{kind} AS {name}"
        for name, kind in MAPPED.items()
        if name != "record_id"
    )
    engine.execute(
        f"CREATE OR REPLACE TEMP VIEW mapping AS SELECT {carried}, {mapped} FROM ({query(contract)}) made "
        "WHERE made.record_id IS NOT NULL"
    )
    map_records(engine)
    engine.execute(
        "CREATE OR REPLACE TEMP VIEW measure AS SELECT *, NULL::VARCHAR AS parse_reason FROM mapped "
        "UNION ALL BY NAME FROM record ANTI JOIN mapped USING (record_id)"
    )


def _parse(contract: Contract) -> str:
    """SELECT that turns lines into one text column a property."""
    kept = [
        one
        for one in contract.properties
        if one.privacy != "drop" or one.name in contract.identity.columns
    ]
    if contract.reader.format == "text_lines":
        fields = {one.name: f"fields.g{one.path}" for one in kept}
        groups = re.compile(contract.reader.pattern or "").groups
        names = ", ".join(f"'g{n}'" for n in range(groups + 1))
        extracted = f"regexp_extract(line, {quote(f'({contract.reader.pattern})')}, [{names}])"
        nested = "false"
        unparsed = "CASE WHEN coalesce(fields.g0, '') = '' THEN 'no_match' END"
    else:
        fields = {one.name: f"fields[{n}]" for n, one in enumerate(kept, 1)}
        paths = ", ".join(quote(one.path) for one in kept)
        # asked first, because TRY reads every line of a vector anew where one of them is broken
        extracted = (
            "CASE WHEN CASE WHEN starts_with(line, '{') THEN true ELSE ltrim(line, ' \t')[1] = '{' END "
            f"AND json_valid(line) THEN TRY(json_extract_string(line, [{paths}])) END"
        )
        nested = _nested(kept)
        unparsed = "CASE WHEN fields IS NULL THEN 'not_json' WHEN nested THEN 'wrong_type' END"
    known = {name: _known(field, contract.reader.null_token) for name, field in fields.items()}
    visible = "".join(_shown(one, known[one.name]) for one in kept if one.privacy != "drop")
    # where a record may lack a column the null token is a value of it, as good as any to tell records apart
    parts = {one.name: (known if one.required else fields)[one.name] for one in kept}
    return f"""
        SELECT record_id, object_id, raw_object_key, raw_object_etag, raw_line, delivered_at, landed_date,
            sequence_scope, first_sequence + record - 1 AS sequence_id,
            {_identity(contract, parts)} AS record_key,
            coalesce(reader_reason, {unparsed}) AS parse_reason{visible}
        FROM (SELECT *, {nested} AS nested FROM (SELECT *, {extracted} AS fields FROM batch))
        JOIN landed_object USING (object_id)
    """


def _nested(kept: Sequence[Property]) -> str:
    """True where one of the fields that hold a single value is an object or an array."""
    paths = ", ".join(quote(one.path) for one in kept if not one.structured)
    # most records hold no bracket in any field, and need no second look at their types
    brackets = " OR ".join(f"contains(array_to_string(fields, ''), '{mark}')" for mark in "{[")
    types = f"list_has_any(json_type(line, [{paths}]), ['OBJECT', 'ARRAY'])"
    return f"CASE WHEN {brackets} THEN {types} ELSE false END" if paths else "false"


def _known(field: str, null_token: str | None) -> str:
    return field if null_token is None else f"nullif({field}, {quote(null_token)})"


def _shown(one: Property, value: str) -> str:
    value = f"pseudonym({value})" if one.privacy == "hash" else value
    return f", {value} AS {_quoted(one.name)}"


def _identity(contract: Contract, fields: dict[str, str]) -> str:
    """A part that is dropped or hashed goes in as a pseudonym: trying values would find it in a plain hash."""
    open_parts = {one.name for one in contract.properties if one.privacy == "none"}
    parts = [
        fields[name] if name in open_parts else f"pseudonym(nullif({fields[name]}, ''))"
        for name in contract.identity.columns
    ]
    if contract.identity.scope == "positional":
        parts = ["raw_object_etag", "raw_line::VARCHAR"]
    return f"key_of({quote(contract.stream)}, [{', '.join(parts)}])"


def query(contract: Contract) -> str:
    """The contract's own SELECT over `raw`."""
    return sql.model(contract.mapping.sql)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _object_table(objects: Sequence[Landed]) -> pa.Table:
    schema = pa.schema(
        [
            ("object_id", pa.int32()),
            ("raw_object_key", pa.string()),
            ("raw_object_etag", pa.string()),
            ("delivered_at", pa.timestamp("us")),
            ("landed_date", pa.date32()),
            ("sequence_scope", pa.string()),
            ("first_sequence", pa.int64()),
        ]
    )
    rows = [
        {
            "object_id": number,
            "raw_object_key": one.pinned.key,
            "raw_object_etag": one.pinned.etag,
            "delivered_at": one.pinned.delivered_at,
            "landed_date": one.landed_date,
            "sequence_scope": one.sequence_scope,
            "first_sequence": one.first_sequence,
        }
        for number, one in enumerate(objects)
    ]
    return pa.Table.from_pylist(rows, schema)
