"""Files of one table that were written with different columns, read as one.

A release names with each partition the shape of its files. A table gets new columns without its history being
written again: in files of an older shape, and in those that were published before shapes were named, what
they lack is null. Those must all be opened to know their columns; files of today's shape need not.
"""

from collections.abc import Callable, Iterable, Sequence

from etl import sql
from etl.columns import Table
from etl.privacy import quote
from etl.release import Entry


def select(
    table: Table,
    entries: Iterable[Entry],
    places: Iterable[str],
    located: Callable[[str], str] = str,
) -> str:
    """A SELECT of the files of these partitions, which lie in `places`, given in the order of their entries; its
    rows come in no order.

    `located` makes of a SQL list of places the list that the engine can open.
    """
    shapes = [entry.get("shape") for entry in entries for _ in entry["files"]]
    now: list[str] = []
    before: list[str] = []
    for shape, place in zip(shapes, places, strict=True):
        (now if shape == table.shape else before).append(place)
    if not before:
        return _read(located(_list(now))) if now else sql.empty(table.sql_columns)
    parts = [sql.empty(table.sql_columns)]
    if now:
        parts.append(_read(located(_list(now))))
    parts.append(_read(located(_list(before)), ", union_by_name = true"))
    return f"SELECT {sql.column_list(table.sql_columns)} FROM ({' UNION ALL BY NAME '.join(parts)})"


def _read(listed: str, options: str = "") -> str:
    return f"SELECT * FROM read_parquet({listed}, hive_partitioning = false{options})"


def _list(places: Sequence[str]) -> str:
    return f"[{', '.join(map(quote, places))}]"
