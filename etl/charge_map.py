"""A billing contract as SQL: rows as delivered -> typed columns -> the contract's own SELECT -> charges.

Views and tables this makes on a connection: `given` (one text column a property), `raw` (what the contract's
SQL sees: amounts and times typed, JSON as JSON; `service_category` beside it) and `charge_row`. A row that has
a value which cannot be read carries `row_problem`.
"""

from collections.abc import Sequence
from functools import cache

import duckdb
import pyarrow as pa
from pyarrow import csv

from etl import sql
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
) -> None:
    """Make `raw` from rows as text_rows gives them."""
    engine.register("delivered", rows)
    engine.register("service_category", _categories())
    types = {
        row["column_name"]: row["column_type"] for row in sql.rows(engine, "DESCRIBE delivered")
    }
    visible = [one for one in contract.properties if one.privacy == "none"]
    texts = (f"{text(contract, one, columns, types)} AS {quoted(one.name)}" for one in visible)
    engine.execute(
        f"CREATE OR REPLACE TEMP VIEW given AS SELECT {ROW}, {', '.join(texts)} FROM delivered"
    )
    typed = _typed(contract, visible, _long(engine, visible))
    engine.execute(f"CREATE OR REPLACE TEMP TABLE raw AS SELECT {typed} FROM given")


def map_rows(engine: duckdb.DuckDBPyConnection, contract: BillingContract) -> None:
    """Make `charge_row`: the contract's SELECT with every column of a charge but its lineage."""
    query = sql.model(contract.mapping.sql)
    columns = {row["column_name"] for row in sql.rows(engine, f"DESCRIBE {query}")}
    own = {
        "x_source_cost": "coalesce(raw.control_cost, 0)",
        "x_charge_type": "raw.control_category",
        "x_changes": "map_concat(raw.changes, coalesce(mapped.x_changes, MAP {}))"
        if "x_changes" in columns
        else "raw.changes",
    }
    chosen = ", ".join(
        f"({own.get(name) or _mapped(name, columns)})::{kind} AS {name}"
        for name, kind in GIVEN.items()
    )
    empty = ", ".join(f"CASE WHEN {name} IS NULL THEN 'no_value:{name}' END" for name in NEEDED)
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE charge_row AS SELECT * REPLACE (coalesce(row_problem, {empty}) AS "
        f"row_problem) FROM (SELECT {ROW}, coalesce(raw.row_problem, mapped.row_problem) AS row_problem, "
        f"{_mirror(columns)} AS is_mirror, {chosen} FROM ({_with_reason(query, columns)}) mapped JOIN "
        f"(SELECT {ROW}, row_problem, changes, control_cost, control_category FROM raw) raw USING ({ROW}))"
    )


def check(engine: duckdb.DuckDBPyConnection, contract: BillingContract) -> None:
    """ContractError where the contract's SQL does not fit its columns or those of a charge."""
    where = f"{contract.stream}/{contract.version}.yaml: billing.mapping: sql/{contract.mapping.sql}.sql"
    columns = Columns({one.name: () for one in contract.properties}, ())
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


def _with_reason(query: str, columns: set[str]) -> str:
    return query if "row_problem" in columns else f"SELECT *, NULL AS row_problem FROM ({query})"


def _control(contract: BillingContract) -> list[str]:
    control = contract.control
    return [
        f"{quoted(control.cost)} AS control_cost_text",
        f"{quoted(control.category)} AS control_category",
        f"{quoted(control.currency)} AS control_currency",
        f"{f'billing_json({quoted(control.credits)})' if control.credits else 'NULL'} AS control_credits",
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
    """Every property by its type, the control columns by their role, what could not be read or was rounded."""
    dataset = f"{quote(contract.dataset or '')} AS x_dataset"
    picked, problems, rounded = [ROW, dataset, *_control(contract)], [], []
    for one in properties:
        name = quoted(one.name)
        value, problem = TYPED[one.type]
        if one.name in long:
            value = "long_amount({0})"
            code = quote(f"rounded:{one.name}")
            rounded.append(
                f"CASE WHEN is_long_amount({name}) THEN {{'key': {code}, 'value': {name}}} END"
            )
        picked.append(f"{value.format(name)} AS {name}")
        if one.name == contract.control.cost:
            picked.append(f"{value.format(name)} AS control_cost")
        if problem:
            failed = f"{name} IS NOT NULL AND {value.format(name)} IS NULL"
            problems.append(
                f"CASE WHEN {failed} THEN {problem.format(name)} || ':' || {quote(one.name)} END"
            )
    changes = "MAP {}::MAP(VARCHAR, VARCHAR)"
    if rounded:
        kept = f"list_filter([{', '.join(rounded)}], lambda one: one IS NOT NULL)"
        changes = f"map_from_entries({kept})"
    first = f"coalesce({', '.join(problems)}, NULL)" if problems else "NULL"
    return ", ".join([*picked, f"{first} AS row_problem", f"{changes} AS changes"])
