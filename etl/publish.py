"""Staged partitions -> the next release, all or nothing; then what readers open follows it."""

import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path

from etl import catalog, layout, sql, staged
from etl.billing import overlap
from etl.billing.contract import BillingContract
from etl.contract import Contract
from etl.errors import StaleInput
from etl.release import Change, Changes, Entry, Release, advance, latest, load
from etl.release import publish as commit
from etl.replay import difference
from etl.settings import Settings
from etl.store import Store

ATTEMPTS = 20


def publish_arrivals(
    settings: Settings,
    lake: Store,
    contract: Contract,
    base: int,
    run: str,
    tables: Changes,
    now: datetime,
) -> tuple[Release, list[date]]:
    """Publish the arrivals of landed dates; returns the release and the usage dates to build again.

    Touched are the dates whose arrivals changed, and dates that share an identity with a partition that changed.
    """
    for _ in range(ATTEMPTS):
        newest = latest(lake)
        touched = _touched(settings, lake, contract, newest, tables)
        names = tuple(f"{contract.stream}/{day}" for day in touched)
        # judged against `newest`, committed only on top of it: two ingests cannot miss each other's rows
        change = Change(run, base, tables, pending=names)
        release = commit(lake, change, now, only_after=newest.number)
        if release is not None:
            return release, touched
    raise StaleInput(f"{contract.stream}: {ATTEMPTS} other publishers were faster: run again")


def publish_build(
    lake: Store, stream: str, usage_date: date, base: int, run: str, tables: Changes, now: datetime
) -> Release:
    """Publish events, daily totals and ledgers of one stream and date."""
    change = Change(run, base, tables, built=(f"{stream}/{usage_date}",))
    release = commit(lake, change, now)
    assert release is not None
    return release


def publish_replay(
    lake: Store,
    base: Release,
    run: str,
    tables: Changes,
    usage_dates: list[str],
    replay: dict[str, str],
    now: datetime,
) -> Release:
    """Publish all that a replay changed in one release, whose body tells what was replayed and why.

    Releases of other streams may have come since `base`; where one of this stream has, raises StaleInput.
    """
    stream = replay["stream"]
    for _ in range(ATTEMPTS):
        newest = latest(lake)
        if name := difference.moved(base, newest, tables, stream):
            raise StaleInput(
                f"{name} was published after this replay had read release {base.number}; nothing was "
                "published: run the replay again"
            )
        built = tuple(f"{stream}/{day}" for day in usage_dates)
        change = Change(run, base.number, tables, built=built, replay=replay)
        release = commit(lake, change, now, only_after=newest.number)
        if release is not None:
            return release
    raise StaleInput(f"{stream}: {ATTEMPTS} other publishers were faster: run again")


def publish_charges(
    settings: Settings,
    lake: Store,
    contract: BillingContract,
    base: int,
    run: str,
    tables: Changes,
    now: datetime,
) -> Release:
    """Publish months, ledgers and control totals of one billing contract.

    Raises StaleInput also where another contract has published an account of one of the months since `base`.
    """
    for _ in range(ATTEMPTS):
        newest = latest(lake)
        if newest.number != base:
            _refuse_shared(settings, lake, contract, load(lake, base), newest, tables)
        # judged against `newest`, committed only on top of it: two contracts cannot miss each other's month
        release = commit(lake, Change(run, base, tables), now, only_after=newest.number)
        if release is not None:
            follow(lake, release)
            return release
    raise StaleInput(f"{contract.stream}: {ATTEMPTS} other publishers were faster: run again")


def follow(lake: Store, release: Release) -> None:
    """Move views.sql and catalog.duckdb on to this release, unless they are further already."""
    if not release.number:
        return
    seen = lake.read(layout.VIEWS)
    if (
        seen
        and int(seen.metadata.get("release", 0)) >= release.number
        and lake.read(layout.CATALOG)
    ):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = catalog.catalog(release, lake.location, Path(folder) / "catalog.duckdb")
        advance(lake, layout.CATALOG, path.read_bytes(), release.number)
    advance(lake, layout.VIEWS, catalog.views(release, lake.location).encode(), release.number)


def _refuse_shared(
    settings: Settings,
    lake: Store,
    contract: BillingContract,
    seen: Release,
    newest: Release,
    tables: Changes,
) -> None:
    with tempfile.TemporaryDirectory(dir=settings.scratch) as scratch:
        name = overlap.shared(settings, lake, contract, seen, newest, tables, Path(scratch))
    if name:
        raise StaleInput(
            f"{name} was published after this run had read release {seen.number}, and holds an account of "
            f"{contract.stream} in the same month: run again from its first stage"
        )


def _touched(
    settings: Settings, lake: Store, contract: Contract, newest: Release, tables: Changes
) -> list[date]:
    changed = {
        name: entry
        for name, entry in tables.get("usage_arrival", {}).items()
        if _files(entry) != _files(newest.partitions("usage_arrival").get(name))
    }
    days = {_usage_date(name) for name in changed}
    if not days:
        return []
    live = newest.partitions("usage_key", stream=contract.stream)
    window = timedelta(days=contract.discovery.late_window_days + 1)

    def around(reach: timedelta) -> list[Entry]:
        return [
            entry
            for name, entry in live.items()
            if name not in changed and min(days) - reach <= _usage_date(name) <= max(days) + reach
        ]

    old = [live[name] for name in changed if name in live]
    new = [entry for name in changed if (entry := tables["usage_key"][name])]
    with (
        tempfile.TemporaryDirectory(dir=settings.scratch) as scratch,
        sql.connect(settings) as engine,
    ):
        for view, entries in (("old_key", old), ("new_key", new), ("live_key", around(window))):
            staged.give(engine, lake, view, "usage_key", entries, Path(scratch))
        if sql.rows(engine, sql.model("usage/claimed_void")):
            # what such a void cancels may lie as far from it again
            staged.give(engine, lake, "live_key", "usage_key", around(2 * window), Path(scratch))
        rows = sql.rows(engine, sql.model("usage/touched_date"))
    return sorted(days | {row["usage_date"] for row in rows})


def _files(entry: Entry | None) -> list[dict]:
    return entry["files"] if entry else []


def _usage_date(name: str) -> date:
    return date.fromisoformat(layout.partition_values(name)["usage_date"])
