"""A billing contract as SQL: rows as delivered -> typed columns -> the contract's own SELECT -> charges.

One pass of the engine, planned once for all rows of the same columns: nothing is kept between text and charges. A
row that has a value which cannot be read has a `row_problem`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from etl import raised, sql
from etl.billing import text_rows, typed
from etl.billing.aliases import Columns, quoted
from etl.billing.contract import BillingContract
from etl.billing.delivery import Refused
from etl.billing.tables import CHARGE
from etl.billing.text_rows import ROW
from etl.billing.typed import CONTROLLED, Bound
from etl.errors import ContractError, OutOfBalance
from etl.settings import ROOT

CATEGORIES = ROOT / "contracts" / "billing" / "service_category.csv"
CONTROL = {"x_source_cost", "x_charge_type", "x_changes"}
LINEAGE = {
    *("x_object_key", "x_row", "x_provider", "x_billing_period", "x_stream"),
    *("x_schema_version", "x_delivery"),
}
BY_DEFAULT = {"service_provider_name": "provider_name", "host_provider_name": "publisher_name"}
GIVEN = {c.name: CHARGE.sql_columns[c.name] for c in CHARGE.columns if c.name not in LINEAGE}
# placeholders of the first or the last year would be months of their own, of which one has no end
NO_MONTH = (
    "CASE WHEN year(billing_period_start) NOT BETWEEN 2000 AND 2099 "
    "THEN 'wrong_period:billing_period_start' END"
)
NEEDED = [c.name for c in CHARGE.columns if not c.nullable and c.name not in LINEAGE]


@dataclass(frozen=True)
class Prepared:
    """What is asked of rows of the same columns, and how they are read."""

    bound: Bound
    charges: sql.Planned  # over `delivered`
    sums: sql.Planned  # over `charge_row`, what map_rows made


def prepare(
    engine: duckdb.DuckDBPyConnection,
    contract: BillingContract,
    columns: Columns,
    rows: pa.Table,
    lineage: Mapping[str, str],
) -> Prepared:
    """For all rows of these columns (JSON lines: for these rows); `lineage` holds, as SQL, what is known of the
    delivery.

    The query gives every column of a charge, and x_row, row_problem, is_mirror and what control totals need.
    """
    engine.register("service_category", _categories())
    bound = typed.bind(engine, contract, columns, rows)
    query = sql.model(contract.mapping.sql)
    mapped = {row["column_name"] for row in sql.rows(engine, f"DESCRIBE {query}")}
    own = {
        "x_source_cost": "coalesce(x_row.control_cost, 0)",
        "x_charge_type": "x_row.control_category",
        "x_other_columns": "x_row.other_columns",
        "x_changes": _changes(mapped),
    }
    chosen = ", ".join(
        f"({own.get(name) or _mapped(name, mapped)})::{kind} AS {name}"
        for name, kind in GIVEN.items()
    )
    empty = ", ".join(f"CASE WHEN {name} IS NULL THEN 'no_value:{name}' END" for name in NEEDED)
    known = "".join(
        f", ({value})::{CHARGE.sql_columns[name]} AS {name}" for name, value in lineage.items()
    )
    wanted = (
        f"SELECT * REPLACE (coalesce(row_problem, {empty}, {NO_MONTH}) AS row_problem){known} FROM (SELECT "
        f"x_row.number AS {ROW}, {_problem(mapped)} AS row_problem, {_mirror(mapped)} AS is_mirror, "
        f"{', '.join(f'x_row.{name}' for name in CONTROLLED)}, {chosen} FROM ({query}) mapped)"
    )
    sums = sql.Planned(engine, "charge_row", sql.model("charge/charge_source"))
    return Prepared(bound, sql.Planned(engine, "delivered", wanted), sums)


def with_currency(contract: BillingContract, columns: Columns, path: Path) -> Columns:
    """With the only currency of an object, where the mapping reads it: a line without one has it, wherever the
    object is cut into chunks."""
    names = columns.of[contract.control.currency]
    if not names or "x_currency" not in sql.model(contract.mapping.sql):
        return columns
    return replace(columns, currency=text_rows.only_value(path, contract.reader, names[0]))


def map_rows(prepared: Prepared, rows: pa.Table) -> pa.Table:
    """What became of rows as text_rows gives them, in their order."""
    ready = typed.ready(prepared.bound, rows)
    made = prepared.charges.over(ready).to_arrow_table(sql.BATCH_ROWS)
    others = typed.others(prepared.bound, rows)
    if others is not None:
        place = made.column_names.index(typed.OTHERS)
        same = made[ROW] == rows[ROW]
        mine = others if same else others.take(pc.index_in(made[ROW], rows[ROW]))
        made = made.set_column(place, typed.OTHERS, mine)
    numbers = made[ROW].combine_chunks()
    in_order = pc.all(pc.less(numbers[:-1], numbers[1:]), skip_nulls=False).as_py()
    return made if in_order else made.sort_by(ROW)


def refuse_other_rows(contract: BillingContract, key: str, came: int, made: pa.Table) -> None:
    """A mapping that filters or joins could lose a row, or double it, on both sides of every later sum."""
    went, known = made.num_rows, pc.count_distinct(made[ROW]).as_py()
    if (went, known) != (came, came):
        raise OutOfBalance(
            f"{contract.stream}/{contract.version}.yaml: billing.mapping: sql/{contract.mapping.sql}.sql made "
            f"{went} rows, {known} of them different, of {came} rows of {key}: each must come out once; "
            "nothing was published"
        )


def refused(
    engine: duckdb.DuckDBPyConnection,
    contract: BillingContract,
    key: str,
    error: duckdb.Error,
    attempt: Callable[[pa.Table], object],
    rows: pa.Table,
) -> Refused | ContractError:
    """Why rows of an object on which `attempt` raised are not read, without what they hold: they cannot be, or the
    contract or its SQL is wrong."""
    if found := _unreadable(engine, contract, rows):
        return found
    where = f"{contract.stream}/{contract.version}.yaml: billing.mapping: sql/{contract.mapping.sql}.sql"
    said = str(error).splitlines()[0]
    if isinstance(error, duckdb.CatalogException | duckdb.ParserException):
        return ContractError(f"{where}: {said}")
    if isinstance(error, duckdb.BinderException):  # of names and types: no row was read yet
        return ContractError(
            f"{where}: {said} Where the contract was copied from a shipped one, it needs the "
            "properties that came to that one since"
        )
    return ContractError(
        f"{where} raised {type(error).__name__} on {_first(attempt, rows)} of {key}: it must give NULL or a "
        "row_problem for any input, TRY() helps"
    )


def _unreadable(
    engine: duckdb.DuckDBPyConnection, contract: BillingContract, rows: pa.Table
) -> Refused | None:
    """Why the engine itself cannot read rows: a line is no JSON, or a column is of a type that it has not, or a map
    with a key twice. None where it can, and what raised was the contract's SQL."""
    if contract.reader.format == "json_lines":
        engine.register("delivered", rows)
        broken = f"SELECT min({ROW}) AS first FROM delivered WHERE NOT json_valid(line)"
        first = sql.rows(engine, broken)[0]["first"]
        return Refused("not_json", f"row {first}") if first else None
    for name in rows.column_names:
        try:
            engine.register("delivered", rows.select([name]))
            engine.execute(f"SELECT max({quoted(name)}::VARCHAR) FROM delivered").fetchall()
        except duckdb.OperationalError:
            raise  # memory or disk, not the rows
        except duckdb.Error:
            return Refused("type_not_readable", f"column {name}")
    return None


def _first(attempt: Callable[[pa.Table], object], rows: pa.Table) -> str:
    """The row on which `attempt` raises, in words: found by halves, for the engine names none."""
    while rows.num_rows > 1:
        middle = rows.num_rows // 2
        halves = rows.slice(0, middle), rows.slice(middle)
        found = next((half for half in halves if raised.raises(attempt, half)), None)
        if found is None:
            return f"rows {rows[ROW][0]} to {rows[ROW][-1]} together"
        rows = found
    return f"row {rows[ROW][0]}"


def check(engine: duckdb.DuckDBPyConnection, contract: BillingContract) -> None:
    """ContractError where the contract's SQL does not fit its columns or those of a charge."""
    where = f"{contract.stream}/{contract.version}.yaml: billing.mapping: sql/{contract.mapping.sql}.sql"
    columns = Columns({one.name: () for one in contract.properties})
    rows = pa.table({ROW: pa.array([], pa.int64()), "line": pa.array([], pa.string())})
    engine.register("service_category", _categories())
    typed.bind(engine, contract, columns, rows)
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
