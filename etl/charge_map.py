"""A billing contract as SQL: rows as delivered -> typed columns -> the contract's own SELECT -> charges.

Views this makes on a connection: `given` (one text column a property) and `raw` (what the contract's SQL sees:
amounts and times typed, JSON as JSON; `service_category` beside it). Nothing is kept between text and charges:
what a mapping does not know of a row travels in its x_row, which it hands on as it is. A row that has a value
which cannot be read has a `row_problem`.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from etl import dropped, other_columns, sql
from etl.billing_contract import BillingContract
from etl.charge_tables import CHARGE
from etl.contract import Property
from etl.delivered import Columns, quoted, text
from etl.errors import ContractError
from etl.privacy import quote
from etl.settings import ROOT
from etl.text_rows import ROW

CATEGORIES = ROOT / "contracts" / "billing" / "service_category.csv"
CONTROL = {"x_source_cost", "x_charge_type", "x_changes"}
CONTROLLED = (
    *("control_cost", "control_cost_text", "control_category"),
    *("control_currency", "control_credits"),
)
LINEAGE = {
    *("x_object_key", "x_row", "x_provider", "x_billing_period", "x_stream"),
    *("x_schema_version", "x_delivery"),
}
BY_DEFAULT = {"service_provider_name": "provider_name", "host_provider_name": "publisher_name"}
GIVEN = {c.name: CHARGE.sql_columns[c.name] for c in CHARGE.columns if c.name not in LINEAGE}
NEEDED = [c.name for c in CHARGE.columns if not c.nullable and c.name not in LINEAGE]
TYPED = {
    "number": ("exact_amount({0})", "amount_problem({0})"),
    "timestamp": ("billing_timestamp({0})", "'time_not_readable'"),
    "object": ("billing_json({0})", "'not_json'"),
    "array": ("billing_json({0})", "'not_json'"),
    "string": ("{0}", None),
}


def bind(
    engine: duckdb.DuckDBPyConnection, contract: BillingContract, columns: Columns, rows: pa.Table
) -> frozenset[str]:
    """Make `raw` from rows as text_rows gives them; returns what they name and the contract does not."""
    engine.register("delivered", rows)
    engine.register("service_category", _categories())
    types = {
        row["column_name"]: row["column_type"] for row in sql.rows(engine, "DESCRIBE delivered")
    }
    visible = [
        one
        for one in contract.properties
        if one.privacy == "none" and not other_columns.is_extra(one)
    ]
    others = other_columns.find(engine, contract, columns, rows, types)
    texts = (f"{text(contract, one, columns, types)} AS {quoted(one.name)}" for one in visible)
    engine.execute(
        f"CREATE OR REPLACE TEMP VIEW given AS SELECT {ROW}, {', '.join(texts)}, "
        f"{others.map} AS x_other_columns FROM delivered"
    )
    query = _typed(contract, visible, _long(engine, visible))
    engine.execute(f"CREATE OR REPLACE TEMP VIEW raw AS {query}")
    return others.unknown


def map_rows(
    engine: duckdb.DuckDBPyConnection, contract: BillingContract, lineage: Mapping[str, str]
) -> pa.Table:
    """What the contract's SELECT makes of `raw`, with every column of a charge, in the order of the rows.

    `lineage` holds, as SQL, the columns that are known of the delivery. Beside the charge stand x_row, row_problem,
    is_mirror and what control totals need.
    """
    query = sql.model(contract.mapping.sql)
    columns = {row["column_name"] for row in sql.rows(engine, f"DESCRIBE {query}")}
    own = {
        "x_source_cost": "coalesce(x_row.control_cost, 0)",
        "x_charge_type": "x_row.control_category",
        "x_other_columns": "x_row.other_columns",
        "x_changes": _changes(columns),
    }
    chosen = ", ".join(
        f"({own.get(name) or _mapped(name, columns)})::{kind} AS {name}"
        for name, kind in GIVEN.items()
    )
    empty = ", ".join(f"CASE WHEN {name} IS NULL THEN 'no_value:{name}' END" for name in NEEDED)
    known = "".join(
        f", ({value})::{CHARGE.sql_columns[name]} AS {name}" for name, value in lineage.items()
    )
    made = engine.execute(
        f"SELECT * REPLACE (coalesce(row_problem, {empty}) AS row_problem){known} FROM (SELECT "
        f"x_row.number AS {ROW}, {_problem(columns)} AS row_problem, {_mirror(columns)} AS is_mirror, "
        f"{', '.join(f'x_row.{name}' for name in CONTROLLED)}, {chosen} FROM ({query}) mapped)"
    ).to_arrow_table()
    numbers = made[ROW].combine_chunks()
    in_order = pc.all(pc.less(numbers[:-1], numbers[1:]), skip_nulls=False).as_py()
    return made if in_order else made.sort_by(ROW)


def check(engine: duckdb.DuckDBPyConnection, contract: BillingContract) -> None:
    """ContractError where the contract's SQL does not fit its columns or those of a charge."""
    where = f"{contract.stream}/{contract.version}.yaml: billing.mapping: sql/{contract.mapping.sql}.sql"
    columns = Columns({one.name: () for one in contract.properties})
    bind(
        engine,
        contract,
        columns,
        pa.table({ROW: pa.array([], pa.int64()), "line": pa.array([], pa.string())}),
    )
    try:
        described = sql.rows(engine, f"DESCRIBE {sql.model(contract.mapping.sql)}")
    except duckdb.OperationalError:
        raise  # memory or disk, not the contract
    except (duckdb.Error, OSError) as error:
        raise ContractError(f"{where}: {error}") from error
    found = {row["column_name"]: row["column_type"] for row in described}
    if unknown := sorted(found.keys() - GIVEN.keys() - {ROW, "row_problem", "is_mirror"}):
        raise ContractError(f"{where}: gives columns that charge/1 does not have: {unknown}")
    needed = set(NEEDED) - CONTROL - BY_DEFAULT.keys()
    if missing := sorted((needed | {ROW}) - found.keys()):
        raise ContractError(f"{where}: does not give {missing}")
    floats = [name for name, kind in found.items() if kind in ("DOUBLE", "FLOAT")]
    if floats:
        raise ContractError(f"{where}: {floats} are floats: amounts are decimals")


@cache
def _categories() -> pa.Table:
    """Service name in lower case -> FOCUS service category."""
    return csv.read_csv(CATEGORIES)


def _mapped(name: str, columns: set[str]) -> str:
    default = BY_DEFAULT.get(name)
    if name in columns:
        return f"mapped.{name}"
    return f"mapped.{default}" if default else "NULL"


def _mirror(columns: set[str]) -> str:
    """Lines that the contract's complement counts: kept out here, and counted as such."""
    return "coalesce(mapped.is_mirror, false)" if "is_mirror" in columns else "false"


def _problem(columns: set[str]) -> str:
    return (
        f"coalesce(x_row.problem, {'mapped.row_problem' if 'row_problem' in columns else 'NULL'})"
    )


def _changes(columns: set[str]) -> str:
    """What was rounded and what the mapping changed; most rows have neither."""
    if "x_changes" not in columns:
        return "x_row.changes"
    mapped = "coalesce(mapped.x_changes, MAP {})"
    return f"CASE WHEN cardinality(x_row.changes) = 0 THEN {mapped} ELSE map_concat(x_row.changes, {mapped}) END"


def _control(contract: BillingContract, long: set[str]) -> list[str]:
    """Values of CONTROLLED: of the amount also its text, where digits were rounded away."""
    control = contract.control
    return [
        quoted(_typed_name(control.cost)),
        quoted(control.cost) if control.cost in long else "NULL::VARCHAR",
        quoted(control.category),
        quoted(control.currency),
        f"billing_json({quoted(control.credits)})" if control.credits else "NULL::VARCHAR",
    ]


def _long(engine: duckdb.DuckDBPyConnection, properties: Sequence[Property]) -> set[str]:
    """Amounts that have more digits than a charge keeps, somewhere in these rows: most have none, and what
    rounds them is long."""
    numbers = [one.name for one in properties if one.type == "number"]
    if not numbers:
        return set()
    asked = ", ".join(f"bool_or(is_long_amount({quoted(name)}))" for name in numbers)
    (found,) = engine.execute(f"SELECT {asked} FROM given").fetchall()
    return {name for name, is_long in zip(numbers, found, strict=True) if is_long}


def _typed(contract: BillingContract, properties: Sequence[Property], long: set[str]) -> str:
    """Every property by its type; in x_row its number, the control columns by their role, what could not be
    read and what was rounded, and what no property names."""
    typed, picked, problems, rounded = [], [], [], []
    for one in properties:
        name = quoted(one.name)
        value, problem = TYPED[one.type]
        if problem is None:
            picked.append(name)
            continue
        if one.structured and (hidden := dropped.within(contract, one)):
            value = f"without_keys({value}, {quote(hidden)})"
        if one.name in long:
            value = "long_amount({0})"
            code = quote(f"rounded:{one.name}")
            rounded.append(
                f"CASE WHEN is_long_amount({name}) THEN {{'key': {code}, 'value': {name}}} END"
            )
        readable = quoted(_typed_name(one.name))
        typed.append(f"{value.format(name)} AS {readable}")
        picked.append(f"{readable} AS {name}")
        problems.append(
            f"CASE WHEN {name} IS NOT NULL AND {readable} IS NULL "
            f"THEN {problem.format(name)} || ':' || {quote(one.name)} END"
        )
    row = {
        "number": ROW,
        "problem": f"coalesce({', '.join(problems)}, NULL)" if problems else "NULL::VARCHAR",
        "changes": _map_of(rounded),
        "other_columns": "x_other_columns",
    } | dict(zip(CONTROLLED, _control(contract, long), strict=True))
    packed = ", ".join(f"{quote(name)}: {value}" for name, value in row.items())
    dataset = f"{quote(contract.dataset or '')} AS x_dataset"
    return (
        f"SELECT {{{packed}}} AS {ROW}, {', '.join([dataset, *picked])} "
        f"FROM (SELECT {', '.join(['*', *typed])} FROM given)"
    )


def _typed_name(name: str) -> str:
    return f"typed {name}"


def _map_of(entries: Sequence[str]) -> str:
    if not entries:
        return "MAP {}::MAP(VARCHAR, VARCHAR)"
    return f"map_from_entries(list_filter([{', '.join(entries)}], lambda one: one IS NOT NULL))"
