"""The statement's pages in the lake: one a usage date and a list of them, for people without Airflow.

A page follows the releases: one of an older release never replaces that of a newer one. It is made from the
release alone, so making it again gives the same bytes.
"""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from etl import bounds, layout, release, settings, sql, staged
from etl.errors import StoreUnavailable
from etl.release import Release
from etl.settings import Settings
from etl.statement import day_page, index, nearby, statement
from etl.store import Store

ATTEMPTS = 50


def write_statement(usage_date: date) -> dict:
    """Write the page of a usage date and the list of all pages, as of the newest release."""
    env = settings.from_environment()
    lake = Store(env.lake)
    found = release.latest(lake)
    if not found.number:
        return {"release": 0, "page": None}
    html = day_page.page(_statement(env, lake, found, usage_date), among_others=True)
    follow(lake, layout.statement(usage_date), lambda: html, found.number)
    follow(lake, layout.statement("index"), lambda: _index(lake, found), found.number)
    return {"release": found.number, "page": lake.location.url(layout.statement(usage_date))}


def _statement(env: Settings, lake: Store, found: Release, usage_date: date) -> dict:
    """From files that are checked against their sha256, within the bounds of the settings."""
    read = statement.narrowed(found, usage_date)
    with (
        bounds.named(env),
        TemporaryDirectory(prefix="usage-export-", dir=env.scratch) as folder,
        sql.connect(env) as engine,
    ):
        for table in statement.TABLES:
            entries = staged.partitions(read, table)
            staged.give(engine, lake, table, table, entries, Path(folder))
        nearby.give(engine, lake, found, usage_date, Path(folder))
        return statement.statement(engine, found, lake, usage_date)


def _index(lake: Store, found: Release) -> str:
    return index.page(found, {Path(key).stem for key in lake.list(layout.STATEMENTS)})


def follow(lake: Store, key: str, make: Callable[[], str], number: int) -> None:
    """Put a page, unless what lies there is of a newer release or the same page. It is made after looking at
    what lies there: a list that was read before somebody else's would miss their page."""
    for _ in range(ATTEMPTS):
        seen = lake.read(key)
        if seen and int(seen.metadata.get("release", 0)) > number:
            return
        data = make().encode()
        if seen and seen.data == data:
            return
        if lake.replace(key, data, seen, {"release": str(number)}):
            return
    raise StoreUnavailable(f"{lake.location.url(key)} kept changing: run again")
