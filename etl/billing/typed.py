"""Texts of a bill as delivered -> typed values: the views `given` and `raw` of a billing contract.

`given` holds one text a property; `raw` what the contract's SQL sees: amounts and times typed, JSON as JSON. What a
mapping does not know of a row travels in its x_row: number, problem, changes, control columns. Texts that repeat
(times, JSON) are read once a different text and chunk, beside the engine's pass over the rows.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from etl import sql
from etl.billing import dropped, other_columns, repeated
from etl.billing.aliases import Columns, column_text, quoted, text
from etl.billing.contract import BillingContract
from etl.billing.text_rows import ROW
from etl.contract import Property
from etl.privacy import quote

AMOUNT = "DECIMAL(38,18)"
TYPED = {
    "number": (AMOUNT, "long_amount({0})", "amount_problem({0})"),
    "timestamp": ("TIMESTAMP", "billing_timestamp({0})", "'time_not_readable'"),
    "object": ("VARCHAR", "billing_json({0})", "'not_json'"),
    "array": ("VARCHAR", "billing_json({0})", "'not_json'"),
}
COUNTED = ("quantity", "usage_amount", "pricing_amount")  # ends of names of what is not paid
OTHERS = "x_other_columns"
REPEATED = ("timestamp", "object", "array")
CONTROLLED = (
    *("control_cost", "control_cost_text", "control_category"),
    *("control_currency", "control_credits"),
)


@dataclass(frozen=True)
class Bound:
    """What is read beside the engine's pass, and the names that rows have and the contract has not."""

    repeated: Sequence[tuple[sql.Planned, list[tuple[str, str]]]]  # value -> property, column
    others: sql.Planned
    other_columns: tuple[str, ...]  # empty: the pass itself reads them
    unknown: frozenset[str]


def bind(
    engine: duckdb.DuckDBPyConnection, contract: BillingContract, columns: Columns, rows: pa.Table
) -> Bound:
    """Make `given` and `raw` over `delivered`, which are rows as ready() gives them."""
    engine.register("delivered", rows)
    types = {
        row["column_name"]: row["column_type"] for row in sql.rows(engine, "DESCRIBE delivered")
    }
    found = other_columns.find(engine, contract, columns, rows, types)
    often = _repeated(contract, columns, rows.schema, types)
    planned = [
        (repeated.planned(engine, value, number), pairs)
        for number, ((value, _), pairs) in enumerate(often.items(), 1)
    ]
    others = repeated.planned(engine, found.map, 0)
    apart = _other_columns(contract, columns, rows.schema)
    bound = Bound(planned, others, apart, found.unknown)
    engine.register("delivered", ready(bound, rows))
    visible = [one for one in contract.properties if _is_visible(one)]
    texts = {one.name: text(contract, one, columns, types) for one in visible}
    chosen = [f"{value} AS {quoted(name)}" for name, value in texts.items()]
    read = [_typed(name) for pairs in often.values() for name, _ in pairs]
    other = "NULL::MAP(VARCHAR, VARCHAR)" if bound.other_columns else found.map
    given = ", ".join([ROW, *chosen, *map(quoted, read), f"{other} AS {OTHERS}"])
    engine.execute(f"CREATE OR REPLACE TEMP VIEW given AS SELECT {given} FROM delivered")
    present = [one for one in visible if texts[one.name] != "NULL::VARCHAR"]
    query = _raw(contract, columns, visible, present, set(read))
    engine.execute(f"CREATE OR REPLACE TEMP VIEW raw AS {query}")
    return bound


def ready(bound: Bound, rows: pa.Table) -> pa.Table:
    """Rows as text_rows gives them, with what repeats in them read."""
    read: dict[str, pa.Array] = {}
    for value, pairs in bound.repeated:
        columns = repeated.read(value, [rows[name] for _, name in pairs])
        read |= dict(zip([name for name, _ in pairs], columns, strict=True))
    for name, column in read.items():
        rows = rows.append_column(_typed(name), column)
    return rows


def others(bound: Bound, rows: pa.Table) -> pa.Array | None:
    """x_other_columns of rows, where `raw` does not hold them: a map takes long through the engine."""
    if not bound.other_columns:
        return None
    return repeated.read_rows(bound.others, bound.other_columns, rows)


def _repeated(
    contract: BillingContract, columns: Columns, schema: pa.Schema, types: Mapping[str, str]
) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Properties whose texts repeat, each a column of its own, by what reads them."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for one in contract.properties:
        names = columns.of.get(one.name, ())
        if one.type not in REPEATED or not _is_visible(one) or len(names) != 1 or "*" in one.path:
            continue
        if repeated.is_told_apart(schema.field(names[0]).type):
            given = column_text(contract, "text", types[names[0]])
            key = _value(contract, one).format(given), types[names[0]]
            found[key].append((one.name, names[0]))
    return found


def _other_columns(
    contract: BillingContract, columns: Columns, schema: pa.Schema
) -> tuple[str, ...]:
    extra = {
        n
        for one in contract.properties
        if other_columns.is_extra(one)
        for n in columns.of.get(one.name, ())
    }
    names = sorted(extra | {name for name in columns.kept if name in schema.names})
    flat = all(
        not pa.types.is_nested(schema.field(name).type)
        for name in columns.names
        if name in schema.names
    )
    told_apart = all(repeated.is_told_apart(schema.field(name).type) for name in names)
    return tuple(names) if flat and told_apart and contract.reader.format != "json_lines" else ()


def _raw(
    contract: BillingContract,
    columns: Columns,
    visible: Sequence[Property],
    present: Sequence[Property],
    read: set[str],
) -> str:
    """Every property by its type, and x_row; `read` names typed columns that are there already."""
    short, typed, problems, rounded = [], [], [], []
    for one in present:
        if one.type not in TYPED:
            continue
        name, readable = quoted(one.name), quoted(_typed(one.name))
        value, problem = _value(contract, one), TYPED[one.type][2]
        if one.type == "number":
            is_short, is_long = quoted(f"short {one.name}"), quoted(f"long {one.name}")
            short.append(f"is_short_amount({name}) AS {is_short}")
            typed.append(f"NOT {is_short} AND is_long_amount({name}) AS {is_long}")
            value = f"CASE WHEN {is_short} THEN short_amount({{0}}) ELSE {value} END"
            rounded.append((one.name, is_long))
        if _typed(one.name) not in read:
            typed.append(f"{value.format(name)} AS {readable}")
        problems.append(
            f"CASE WHEN {name} IS NOT NULL AND {readable} IS NULL "
            f"THEN {problem.format(name)} || ':' || {quote(one.name)} END"
        )
    row = {
        "number": ROW,
        "problem": f"coalesce({', '.join(problems)}, NULL)" if problems else "NULL::VARCHAR",
        "changes": _changes(rounded),
        "other_columns": OTHERS,
    } | dict(zip(CONTROLLED, _control(contract, dict(rounded)), strict=True))
    packed = ", ".join(f"{quote(name)}: {value}" for name, value in row.items())
    picked = [f"{_picked(one, one in present)} AS {quoted(one.name)}" for one in visible]
    return (
        f"SELECT {{{packed}}} AS {ROW}, {_told(contract, columns, present)}, {', '.join(picked)} "
        f"FROM (SELECT {', '.join(['*', *typed])} FROM (SELECT {', '.join(['*', *short])} FROM given))"
    )


def _told(contract: BillingContract, columns: Columns, present: Sequence[Property]) -> str:
    """What a mapping knows of the whole object: the provider's view of its bill, the properties it has, and its
    only currency."""
    names = ", ".join(quote(one.name) for one in present)
    currency = quote(columns.currency) if columns.currency else "NULL::VARCHAR"
    return (
        f"{quote(contract.dataset or '')} AS x_dataset, [{names}]::VARCHAR[] AS x_delivered, "
        f"{currency} AS x_currency"
    )


def _is_visible(one: Property) -> bool:
    return one.privacy == "none" and not other_columns.is_extra(one)


def _value(contract: BillingContract, one: Property) -> str:
    """SQL of a text's value, without what the contract drops of an object."""
    value = TYPED[one.type][1]
    if one.type == "number" and one.name.endswith(COUNTED):
        value = "long_count({0})"
    if one.structured and (hidden := dropped.within(contract, one)):
        return f"without_keys({value}, {quote(hidden)})"
    return value


def _picked(one: Property, is_present: bool) -> str:
    if one.type not in TYPED:
        return quoted(one.name)
    return quoted(_typed(one.name)) if is_present else f"NULL::{TYPED[one.type][0]}"


def _changes(rounded: Sequence[tuple[str, str]]) -> str:
    """Texts of amounts that lost digits; most rows have none."""
    nothing = "MAP {}::MAP(VARCHAR, VARCHAR)"
    if not rounded:
        return nothing
    entries = ", ".join(
        f"CASE WHEN {is_long} THEN {{'key': {quote(f'rounded:{name}')}, 'value': {quoted(name)}}} END"
        for name, is_long in rounded
    )
    kept = f"map_from_entries(list_filter([{entries}], lambda one: one IS NOT NULL))"
    return (
        f"CASE WHEN {' OR '.join(is_long for _, is_long in rounded)} THEN {kept} ELSE {nothing} END"
    )


def _control(contract: BillingContract, rounded: dict[str, str]) -> list[str]:
    """Values of CONTROLLED: of the amount also its text, where digits were rounded away."""
    control = contract.control
    cost, is_long = quoted(control.cost), rounded.get(control.cost)
    return [
        quoted(_typed(control.cost)) if is_long else f"NULL::{AMOUNT}",
        f"CASE WHEN {is_long} THEN {cost} END" if is_long else "NULL::VARCHAR",
        quoted(control.category),
        quoted(control.currency),
        f"billing_json({quoted(control.credits)})" if control.credits else "NULL::VARCHAR",
    ]


def _typed(name: str) -> str:
    """The column of a property's typed value, beside that of its text."""
    return f"typed {name}"
