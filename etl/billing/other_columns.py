"""What a provider wrote and no property names: kept as text under its own name, so that nothing is lost.

Beside such columns stand properties named `x_…`: of use to analysts, but nothing that FOCUS has a column for.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from etl.billing import aliases as delivered
from etl.billing import dropped
from etl.billing.aliases import Columns, quoted
from etl.billing.contract import BillingContract, as_delivered, plain
from etl.billing.delivery import Refused
from etl.contract import Property
from etl.privacy import quote

Path = tuple[str, ...]
NUL = "\0"


@dataclass(frozen=True)
class Others:
    """SQL of the map of a row, and the names of all that the contract does not name, kept or not."""

    map: str
    unknown: frozenset[str]


def find(
    engine: duckdb.DuckDBPyConnection,
    contract: BillingContract,
    columns: Columns,
    rows: pa.Table,
    types: Mapping[str, str],
) -> Others:
    """Of rows as text_rows gives them, bound as `delivered`; raises Refused where they name too many."""
    if contract.reader.format == "json_lines":
        found = {".".join(path): _json_text(path) for path in _json_paths(engine, contract)}
    else:
        found = {name: delivered.as_text(name, types) for name in columns.unknown if name in types}
        shape = {name: _shape(rows.schema.field(name).type) for name in columns.names}
        for root, *rest in _unnamed(contract, {n: s for n, s in shape.items() if s}):
            if rest:
                text = f"json_extract_string(to_json({quoted(root)}), {quote(_pointer(rest))})"
                found[".".join((root, *rest))] = text
    if len(found) > contract.reader.max_columns:
        bound = contract.reader.max_columns
        raise Refused("too_many_columns", f"{len(found)}, max_columns of the contract is {bound}")
    own = {
        one.name: delivered.text(contract, one, columns, types)
        for one in contract.properties
        if is_extra(one)
    }
    named = [name for name in found if NUL not in name]  # no SQL can ask for it
    kept = {name: found[name] for name in delivered.kept(contract, named)}
    return Others(_map(contract, kept | own), frozenset(found))


def is_extra(one: Property) -> bool:
    """Whether a property is kept beside the columns of FOCUS, without a word in the mapping."""
    return one.name.startswith("x_") and one.privacy == "none"


def _json_paths(engine: duckdb.DuckDBPyConnection, contract: BillingContract) -> list[Path]:
    shapes = engine.execute("SELECT DISTINCT TRY(json_structure(line)) FROM delivered").fetchall()
    return sorted(
        {path for (shape,) in shapes if shape for path in _unnamed(contract, json.loads(shape))}
    )


def _json_text(path: Path) -> str:
    return f"json_extract_string(line, {quote(_pointer(path))})"


def _pointer(path: Path | list[str]) -> str:
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in path)


def _shape(kind: pa.DataType) -> dict | None:
    """Members of a structure, as deep as it goes."""
    if not pa.types.is_struct(kind):
        return None
    return {one.name: _shape(one.type) for one in kind.fields}


def _unnamed(contract: BillingContract, shape: Mapping[str, Any]) -> Iterator[Path]:
    """The highest members that no property names, nor anything within them."""
    aliases = (alias for one in contract.properties for alias in one.path.split("|"))
    named = {(plain(root), *rest) for root, *rest in (alias.split(".") for alias in aliases)}
    yield from _below(named, shape, ())


def _below(named: set[Path], shape: Mapping[str, Any], above: Path) -> Iterator[Path]:
    for name, members in shape.items():
        path = (*above, name)
        key = (plain(path[0]), *path[1:])
        if key in named:
            continue
        if not any(one[: len(key)] == key for one in named):
            yield path
        elif isinstance(members, dict):
            yield from _below(named, members, path)
        elif members not in (None, "NULL", "JSON"):  # a value where an object was promised
            yield path


def _map(contract: BillingContract, texts: Mapping[str, str]) -> str:
    """Name to text, without empty ones, and of objects without the keys that the contract drops."""
    if not texts:
        return "NULL::MAP(VARCHAR, VARCHAR)"
    names = ", ".join(quote(as_delivered(name)) for name in sorted(texts))
    values = ", ".join(text for _, text in sorted(texts.items()))
    listed = _without_people(f"[{values}]", dropped.anywhere(contract))
    empty = ", ".join(map(quote, ("", "{}", "[]", *contract.reader.null_tokens)))
    some = f"list_filter(list_zip([{names}], {listed}), lambda pair: pair[2] NOT IN ({empty}))"
    return f"list_transform([{some}], lambda kept: CASE WHEN len(kept) > 0 THEN map_from_entries(kept) END)[1]"


def _without_people(values: str, pattern: str | None) -> str:
    """Most rows hold nothing that matches: they are asked once, not once a value."""
    if not pattern:
        return values
    joined = "array_to_string(given_values, ' ')"
    return (
        f"list_transform([{values}], lambda given_values: CASE WHEN regexp_matches({joined}, {quote(pattern)}) "
        f"OR contains({joined}, '\\u') THEN list_transform(given_values, lambda given_value: "
        f"without_people(given_value, {quote(pattern)})) ELSE given_values END)[1]"
    )
