"""What lands on one date may close a gap of another: landed dates whose statement tells another one by now."""

from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from etl import layout, release, sql, staged
from etl.contract import Contract
from etl.release import Release
from etl.settings import Settings
from etl.store import Store
from etl.tables import MANIFEST


def moved(
    settings: Settings, lake: Store, contract: Contract, base: int, newest: Release
) -> set[str]:
    """Dates within the look-back window of what changed since release `base`, less those that changed themselves."""
    if contract.sequence is None or base == newest.number:
        return set()
    old = release.load(lake, base).partitions(MANIFEST.name, stream=contract.stream)
    new = newest.partitions(MANIFEST.name, stream=contract.stream)
    changed = {
        name for name in old.keys() | new.keys() if not release.same(old.get(name), new.get(name))
    }
    if not changed:
        return set()
    reach = timedelta(days=contract.discovery.late_window_days)
    first, last = min(map(_date, changed)) - reach, max(map(_date, changed)) + reach
    kept = [new[name] for name in new if name not in changed and first <= _date(name) <= last]
    if not kept:  # as on the first days of a stream
        return set()
    views = {
        "manifest": kept,
        "old_manifest": [old[name] for name in changed if name in old],
        "new_manifest": [new[name] for name in changed if name in new],
    }
    with TemporaryDirectory(dir=settings.scratch) as folder, sql.connect(settings) as engine:
        for view, entries in views.items():
            staged.give(engine, lake, view, MANIFEST.name, entries, Path(folder))
        rows = sql.rows(engine, sql.model("reconcile/sequence_moved"))
    return {str(row["landed_date"]) for row in rows}


def _date(name: str) -> date:
    return layout.date_of(name, "landed_date")
