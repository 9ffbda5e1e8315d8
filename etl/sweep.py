"""What runs left behind and nobody will need -> deleted: work areas, and staged files that no release names.

A run that died leaves its work area, and files under their final keys that no release names. A run that
is tried again finds such a file under the same key and uses it, so deleting one races with publishing it.
The chain of releases decides the race, not a clock:

1. sweep commits a release that names what it will delete (`sweeping`), on top of the newest one, in which
   (and in no older one) none of it is named;
2. it deletes;
3. it commits a release that takes the list back.

A publisher reads the newest release, then refuses files that are listed there or that do not exist, then
creates the release after it. If it had read one from before (1), creating fails, because (1) is there: it
looks again. If it had read one from (1) on, the list stops it; from (3) on, the file is gone and that
stops it. Both ways nothing is published, and the lane runs again from its first stage.

A sweep that dies between (1) and (3) leaves its list; one that begins an hour later ends it first. Until
then a second sweep gives up, and a sweep that has not deleted after half of that time gives up too. Age
only spares runs that are still at work.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from etl import layout, release
from etl.errors import StoreUnavailable
from etl.release import Change, Release
from etl.store import Store
from etl.tables import ALL

ATTEMPTS = 20
READS_AT_ONCE = 8
DELETES_AT_ONCE = 500
LEASE = timedelta(hours=1)
VALIDATION = "_validation/"
Sized = dict[str, int]  # key -> bytes


@dataclass(frozen=True)
class Swept:
    """Keys with their bytes: of work areas, and of staged files."""

    work: Sized
    staged: Sized


def plan(lake: Store, before: datetime) -> Swept:
    """What a sweep of everything last written before this time would delete; changes nothing."""
    return Swept(_work(lake, before), _staged(lake, before))


def sweep(lake: Store, run: str, before: datetime, now: datetime) -> Swept:
    """Delete it; returns what was deleted. Raises StoreUnavailable while another sweep is at work, or
    where publishers kept being faster."""
    _end_abandoned(lake, run, now)
    found = plan(lake, before)
    staged = _claim(lake, run, found.staged, now) if found.staged else {}
    if staged:
        _end(lake, run, [*staged], now)
    lake.delete([*found.work])
    return Swept(found.work, staged)


def _work(lake: Store, before: datetime) -> Sized:
    """All objects of runs of which nothing was written since."""
    aged = lake.aged(layout.WORK)
    alive = {layout.work_run(key) for key, (modified, *_) in aged.items() if modified >= before}
    return {key: size for key, (_, size, _) in aged.items() if layout.work_run(key) not in alive}


def _staged(lake: Store, before: datetime) -> Sized:
    """Files of tables, and results of validations, that no release names."""
    old: Sized = {}
    for prefix in (*(f"{table}/" for table in ALL), VALIDATION):
        aged = lake.aged(prefix)
        old |= {key: size for key, (modified, size, _) in aged.items() if modified < before}
    return _unnamed(lake, old, release.latest(lake))


def _unnamed(lake: Store, old: Sized, newest: Release) -> Sized:
    """Less what any release names, newest first: most are accounted for soon."""
    named = newest.named()
    left = {key: size for key, size in old.items() if key not in named}
    numbers = list(range(newest.number - 1, 0, -1))
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        for start in range(0, len(numbers), READS_AT_ONCE):
            if not left:
                break
            some = numbers[start : start + READS_AT_ONCE]
            for one in pool.map(lambda number: release.load(lake, number).named(), some):
                left = {key: size for key, size in left.items() if key not in one}
    return left


def _claim(lake: Store, run: str, doomed: Sized, now: datetime) -> Sized:
    """Commit what will be deleted, less what was published meanwhile."""
    for _ in range(ATTEMPTS):
        newest = release.latest(lake)
        _refuse_second(lake, newest)
        named = newest.named()
        mine = {key: size for key, size in sorted(doomed.items()) if key not in named}
        change = Change(run, newest.number, {}, sweeping=(*mine,))
        if release.publish(lake, change, now, only_after=newest.number):
            return mine
    raise StoreUnavailable(f"{ATTEMPTS} publishers were faster: sweep again")


def _end(lake: Store, run: str, doomed: list[str], now: datetime) -> None:
    """Delete what the newest release lists, then take the list back."""
    deadline = time.monotonic() + LEASE.total_seconds() / 2
    for start in range(0, len(doomed), DELETES_AT_ONCE):
        if time.monotonic() > deadline:
            raise StoreUnavailable(
                f"{lake.location.url()}: deleting took too long, {start} of {len(doomed)} files are "
                "gone: sweep again in an hour"
            )
        lake.delete(doomed[start : start + DELETES_AT_ONCE])
    release.publish(lake, Change(run, release.latest(lake).number, {}, sweeping=()), now)


def _end_abandoned(lake: Store, run: str, now: datetime) -> None:
    left = release.latest(lake).sweeping
    if left and datetime.fromisoformat(left["since"]).replace(tzinfo=None) + LEASE <= now:
        _end(lake, run, left["keys"], now)


def _refuse_second(lake: Store, newest: Release) -> None:
    if newest.sweeping:
        raise StoreUnavailable(
            f"{lake.location.url()}: another sweep began at {newest.sweeping['since']} and has not "
            "ended: wait for it; one that died is ended by a sweep an hour later"
        )
