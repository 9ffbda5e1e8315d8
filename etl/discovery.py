"""Where the objects of a contract lie: its path as prefixes to list, as a pattern of keys, and as their date."""

import re
from collections.abc import Iterable
from datetime import date

from etl.contract import Contract
from etl.store import Store

Listing = dict[str, tuple[str, int]]  # key -> (ETag, size in bytes)


def listing(landing: Store, contract: Contract, dates: Iterable[date] | None = None) -> Listing:
    """key -> (ETag, size) of all objects of a contract, for dated layouts of these dates only."""
    pattern = contract.discovery.regex
    found: Listing = {}
    for prefix in sorted(_prefixes(contract, dates)):
        found |= {k: v for k, v in landing.list(prefix).items() if pattern.fullmatch(k)}
    if contract.discovery.dated and dates is not None:
        wanted = set(dates)
        found = {k: v for k, v in found.items() if key_date(contract, k) in wanted}
    return found


def unmatched(landing: Store, contracts: Iterable[Contract]) -> list[str]:
    """Keys below the places that contracts name which no contract's path matches: nobody reads them."""
    known = list(contracts)
    keys = {key for one in known for prefix in _prefixes(one, None) for key in landing.list(prefix)}
    patterns = [one.discovery.regex for one in known]
    return sorted(key for key in keys if not any(one.fullmatch(key) for one in patterns))


def key_date(contract: Contract, key: str) -> date | None:
    """Landed date that the key states; None for layouts without a date, or for a date that is none."""
    match = contract.discovery.regex.fullmatch(key)
    if match is None or not contract.discovery.dated:
        return None
    try:
        return date(*(int(match[part]) for part in ("yyyy", "MM", "dd")))
    except ValueError:
        return None


def _prefixes(contract: Contract, dates: Iterable[date] | None) -> set[str]:
    """What to list: the literal head of the path, with the date filled in where it comes first."""
    path = contract.discovery.path
    if dates is None or not contract.discovery.dated:
        return {_head(path)}
    return {_head(day.strftime(_strftime(path))) for day in dates}


def _strftime(path: str) -> str:
    return (
        path.replace("%", "%%").replace("{yyyy}", "%Y").replace("{MM}", "%m").replace("{dd}", "%d")
    )


def _head(path: str) -> str:
    return re.split(r"[*{]", path, maxsplit=1)[0]
