"""Delivered columns -> one text expression a property of the contract, whatever the export calls them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from etl.billing import dropped
from etl.billing.contract import BillingContract, as_delivered, plain
from etl.billing.delivery import Refused
from etl.contract import Property
from etl.privacy import quote


@dataclass(frozen=True)
class Columns:
    """Which columns of an object hold which property, which nobody asked for, and which of those are kept; and the
    object's only currency, where the mapping reads it."""

    of: Mapping[str, tuple[str, ...]]
    unknown: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    currency: str | None = None

    @property
    def names(self) -> list[str]:
        return sorted({name for names in self.of.values() for name in names} | set(self.kept))


def resolve(contract: BillingContract, header: Sequence[str]) -> Columns:
    """Find each property among delivered column names; raises Refused where a required one is missing."""
    known = {plain(name): name for name in header}
    _refuse_twins(contract, header)
    nested = contract.reader.format == "parquet"
    found: dict[str, tuple[str, ...]] = {}
    for one in contract.properties:
        aliases = [plain(alias) for alias in one.path.split("|")]
        if one.path.endswith("*"):
            continue
        roots = [alias.partition(".")[0] for alias in aliases] if nested else []
        found[one.name] = tuple(known[a] for a in [*aliases, *roots] if a in known)[:1]
        if one.required and not found[one.name] and contract.reader.format != "json_lines":
            raise Refused("missing_column", one.path.split("|")[0])
    used = {name for names in found.values() for name in names}
    for one in contract.properties:
        if one.path.endswith("*"):  # what another property names is not gathered: it may be dropped
            head = plain(one.path.removesuffix("*"))
            below = {n for n in header if plain(n).startswith(head) and plain(n) != head} - used
            found[one.name] = tuple(_without(dropped.within(contract, one), sorted(below)))
            used |= below
    unknown = tuple(sorted(set(header) - used))
    return Columns(found, unknown, tuple(kept(contract, unknown)))


def _refuse_twins(contract: BillingContract, header: Iterable[str]) -> None:
    """Raises Refused where a column that the contract reads is there twice, spelled in two ways."""
    read = [one.path for one in contract.properties if one.privacy != "drop"]
    wanted = {plain(alias) for path in read for alias in path.split("|")}
    found: dict[str, str] = {}
    for name in map(as_delivered, header):
        if plain(name) in wanted and (before := found.setdefault(plain(name), name)) is not name:
            raise Refused("repeated_column", f"{before} and {name} are the same column")


def kept(contract: BillingContract, unknown: Iterable[str]) -> list[str]:
    """Names that the contract neither names nor drops by another name."""
    return _without(dropped.anywhere(contract), unknown)


def _without(pattern: str | None, names: Iterable[str]) -> list[str]:
    return [name for name in names if not (pattern and re.search(pattern, name))]


def text(
    contract: BillingContract, one: Property, columns: Columns, types: Mapping[str, str]
) -> str:
    if contract.reader.format == "json_lines":
        extracted = [
            f"json_extract_string(line, {quote('$.' + path)})" for path in one.path.split("|")
        ]
        return _null(contract, f"coalesce({', '.join(extracted)}, NULL)")
    names = columns.of[one.name]
    if one.path.endswith("*"):
        return _gathered(contract, one, names, types)
    if not names:
        return "NULL::VARCHAR"
    return _null(contract, _member(one, names[0], types))


def _member(one: Property, name: str, types: Mapping[str, str]) -> str:
    """A column, or what lies within it where the property names a path into it."""
    for path in one.path.split("|"):
        root, dot, rest = path.partition(".")
        if dot and plain(root) == plain(name) and types[name].startswith("STRUCT"):
            return f"json_extract_string(to_json({quoted(name)}), {quote('$.' + rest)})"
    return as_text(name, types)


def _gathered(
    contract: BillingContract, one: Property, names: Sequence[str], types: Mapping[str, str]
) -> str:
    """Columns of one prefix as a JSON object: the rest of the name to the value, without nulls."""
    skip = len(one.path) - 1
    entries = ", ".join(
        f"{{'key': {quote(as_delivered(name)[skip:])}, 'value': {_null(contract, as_text(name, types))}}}"
        for name in sorted(names)
    )
    if not entries:
        return "NULL::VARCHAR"
    kept = f"list_filter([{entries}], lambda one: one.value IS NOT NULL)"
    return f"CASE WHEN len({kept}) > 0 THEN to_json(map_from_entries({kept}))::VARCHAR END"


def column_text(contract: BillingContract, name: str, kind: str) -> str:
    """The text of a column of this type, as text() gives it; not of one with members."""
    return _null(contract, as_text(name, {name: kind}))


def as_text(name: str, types: Mapping[str, str]) -> str:
    """Doubles by their shortest form; times as ISO; nested values as JSON; bytes are unmarked text."""
    kind, column = types[name], quoted(name)
    if kind == "VARCHAR":
        return column
    if kind == "BLOB":
        return f"coalesce(TRY(decode({column})), {column}::VARCHAR)"
    if kind.startswith("TIMESTAMP"):
        return f"strftime({column}::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.%fZ')"
    is_list = kind.endswith("]")
    if kind.startswith("STRUCT") and not is_list:  # of its members most are not a row's own
        members = f"map_entries(from_json(to_json({column}), '\"MAP(VARCHAR, JSON)\"'))"
        return f"pairs_object(list_filter({members}, lambda one: json_type(one.value) <> 'NULL'))"
    if kind.startswith("MAP") or is_list:
        return f"to_json({column})::VARCHAR"
    return f"{column}::VARCHAR"


def _null(contract: BillingContract, text: str) -> str:
    """A text, or NULL where it means no value."""
    for token in ("", *contract.reader.null_tokens):
        text = f"nullif({text}, {quote(token)})"
    return text


def quoted(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
