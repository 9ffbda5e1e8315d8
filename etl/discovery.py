"""Where the objects of a contract lie: its path as prefixes to list, as a pattern of keys, and as their date."""

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date

from etl.contract import Contract
from etl.store import Store

LISTS_AT_ONCE = 8
Listing = dict[str, tuple[str, int]]  # key -> (ETag, size in bytes)


def listing(landing: Store, contract: Contract, dates: Iterable[date] | None = None) -> Listing:
    """key -> (ETag, size) of all objects of a contract, for dated layouts of these dates only."""
    pattern, wanted = contract.discovery.regex, set(dates or ())
    dated = contract.discovery.dated and dates is not None
    ranges = _ranges(landing, contract, wanted) if dated else [(_head(contract.discovery.path),)]
    with ThreadPoolExecutor(LISTS_AT_ONCE) as pool:
        listed = list(pool.map(lambda one: landing.list(*one), ranges))
    found = {key: value for some in listed for key, value in some.items() if pattern.fullmatch(key)}
    if not dated:
        return found
    return {key: value for key, value in found.items() if key_date(contract, key) in wanted}


def unmatched(landing: Store, contracts: Iterable[Contract]) -> list[str]:
    """Keys below the places that contracts name which no contract's path matches: nobody reads them."""
    known = list(contracts)
    keys = {key for one in known for key in landing.list(_head(one.discovery.path))}
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


def _ranges(landing: Store, contract: Contract, dates: set[date]) -> list[tuple[str, str, str]]:
    """What to list: a prefix, where in it the first of the dates begins, and with what the last.

    A month of one folder is one range, so that a window of weeks is few requests; folders before the date are
    looked up, so that what lies under other dates is not listed.
    """
    path = contract.discovery.path
    parents, rest = path[: path.index("{")], path[path.index("{") :]
    if "*" in parents.replace("*/", ""):  # it stands for a part of a name
        return [(_head(path), "", "")]
    months: dict[str, set[str]] = {}
    for day in dates:
        month = _head(day.strftime(_strftime(rest.partition("{dd}")[0])))
        months.setdefault(month, set()).add(_head(day.strftime(_strftime(rest))))
    return [
        (folder + month, folder + min(days), folder + max(days))
        for folder in _folders(landing, parents)
        for month, days in sorted(months.items())
    ]


def _folders(landing: Store, path: str) -> list[str]:
    """Places that a path means: each whole segment `*` stands for every folder that lies there."""
    *parents, last = path.split("*/")
    folders = [""]
    for part in parents:
        folders = [found for one in folders for found in landing.folders(one + part)]
    return [one + last for one in folders]


def _strftime(path: str) -> str:
    return (
        path.replace("%", "%%").replace("{yyyy}", "%Y").replace("{MM}", "%m").replace("{dd}", "%d")
    )


def _head(path: str) -> str:
    return re.split(r"[*{]", path, maxsplit=1)[0]
