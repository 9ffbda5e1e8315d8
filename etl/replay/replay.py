"""Landed dates read again with today's contract and code: listed as a draft, or published as one release.

plan -> normalize (batches) -> arrivals -> build (each usage date they touch) -> finish. The stages of ingest and
build work on a draft of the lake (etl/replay/draft.py). A dry run ends with the list of what would change; otherwise
exactly that is published, all tables at once, with the reason. A run that is not dry refuses to publish anything
else than the last dry run of the same dates had listed.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from etl import extract, layout, lookup, privacy, release, stages, work
from etl import publish as publication
from etl.errors import SettingError, SourceError
from etl.release import Release
from etl.replay import difference, draft, listing
from etl.shown import many
from etl.statement import gaps, pages
from etl.tables import USAGE_ARRIVAL
from etl.work import Work

MAX_DAYS = 366
LEAST, MOST = 8, 500  # characters of a reason


def replay(
    stream: str,
    first: date,
    last: date,
    reason: str,
    dry_run: bool,
    run: str,
    say: Callable[[str], None],
) -> dict:
    """All steps in this process; `say` hears of each one. Returns what changes, see `finish`."""
    found = plan(stream, first, last, reason, dry_run, run)
    say(
        f"{stream} landed {first} to {last}: {many(found['objects'], 'object')}, {many(found['bytes'], 'byte')}"
    )
    for n, batch in enumerate(found["batches"], 1):
        normalize(stream, run, batch)
        say(f"read batch {n} of {len(found['batches'])}")
    days = arrivals(stream, run)
    for n, day in enumerate(days, 1):
        build(date.fromisoformat(day), stream, run)
        say(f"built usage date {day}, {n} of {len(days)}")
    return finish(stream, run)


def plan(stream: str, first: date, last: date, reason: str, dry_run: bool, run: str) -> dict:
    """Pin every object that landed on these dates, read before or not; begin the draft."""
    _refuse_wrong(stream, first, last, reason)
    area = work.begin(stream, run)
    base = release.latest(area.lake)
    area.refuse_other_key(base)
    days = {first + timedelta(days=n) for n in range((last - first).days + 1)}
    objects = extract.again(area.landing, area.contract, days, lookup.covered(area, base, days))
    asked = dict(zip(listing.ASKED, (stream, str(first), str(last), reason), strict=True))
    draft.start(area, base, asked | {"dry_run": dry_run}, f"{_now():%Y%m%dT%H%M%S.%f}")
    return area.plan(base, last, days, objects)


def normalize(stream: str, run: str, batch: int) -> dict:
    return stages.normalize(stream, run, batch, draft.begin)


def arrivals(stream: str, run: str) -> list[str]:
    """Judge the arrivals and put them into the draft; returns the usage dates to build in it."""
    stages.collect(stream, run, draft.begin)
    _refuse_unread(stream, run)
    stages.validate_arrivals(stream, run, draft.begin)
    stages.publish_arrivals(stream, run, draft.begin)
    drafted = draft.begin(stream, run)
    base, now = _releases(drafted)
    landed = set(drafted.load("manifest.json")["landed_dates"])
    touched = {
        name.split("/")[1]
        for name, since in now.pending.items()
        if since > base.number and name.split("/")[0] == stream
    }
    own = [
        layout.partition_values(name)
        for one in (base, now)
        for name in one.partitions(USAGE_ARRIVAL.name, stream=stream)
    ]
    days = sorted(touched | {one["usage_date"] for one in own if one["landed_date"] in landed})
    drafted.save({"usage_dates": days}, "usage_dates.json")
    return days


def build(usage_date: date, stream: str, run: str) -> dict:
    """Make one usage date in the draft; the releases of a draft are nobody's business."""
    done = stages.build(usage_date, stream, run, draft.begin)
    return {name: value for name, value in done.items() if name != "release"}


def finish(stream: str, run: str) -> dict:
    """What the replay changes: `partitions` with their state, `totals`, `quarantine`. Unless the run is
    dry, it is published; `release` is the release that holds it.

    Raises StaleInput where this stream was published meanwhile, or where the last dry run of these dates
    had listed something else.
    """
    drafted = draft.begin(stream, run)
    base, now = _releases(drafted)
    made = difference.changes(base, now)
    days = drafted.load("usage_dates.json")["usage_dates"]
    found = listing.listing(drafted, base, now, made, days)
    if found["dry_run"]:
        listing.keep(drafted, found)
        return found
    found["since_dry_run"] = listing.compared(drafted, found)
    asked, lake = {name: found[name] for name in listing.ASKED}, draft.lake(drafted)
    done = publication.publish_replay(lake, base, run, made, days, asked, _now())
    publication.follow(lake, done)
    listing.forget(drafted, found)
    told = gaps.moved(drafted.settings, lake, drafted.contract, base.number, done)
    for day in sorted({*listing.dates(found), *told}):
        pages.write_statement(date.fromisoformat(day))
    return found | {"release": done.number}


def _refuse_wrong(stream: str, first: date, last: date, reason: str) -> None:
    lookup.known(stream)
    if last < first:
        raise SettingError(f"the last date {last} lies before the first, {first}: swap them")
    if (last - first).days >= MAX_DAYS:
        raise SettingError(f"{first} to {last} is more than {MAX_DAYS} days: replay it in parts")
    if not LEAST <= len(reason.strip()) <= MOST or len(reason) > MOST or not reason.isprintable():
        raise SettingError(f"the reason must be {LEAST} to {MOST} printable characters on one line")
    if privacy.mask(reason) != reason:
        raise SettingError(
            "the reason looks as if it held personal data, and everybody who reads the lake reads it: "
            "say it without addresses, numbers of persons or keys"
        )


def _refuse_unread(stream: str, run: str) -> None:
    """A replay is all or nothing: what it lists must not be a mixture of what was read when."""
    if missed := stages.unread(stream, run, draft.begin):
        raise SourceError(
            f"{many(len(missed), 'object')} of {stream} could not be read, first {missed[0]['key']}: "
            f"{missed[0]['said']}; nothing was published: run the replay again once it can be read, or "
            "replay other dates"
        )


def _releases(drafted: Work) -> tuple[Release, Release]:
    """The release that the draft began on, and the newest one of the draft."""
    return drafted.base(drafted.replay["base"]), release.latest(drafted.lake)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
