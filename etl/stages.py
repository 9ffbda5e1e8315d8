"""The table of verbs: what a command or a task calls, one function a stage.

Each reads its input from the lake or the run's work area, does one thing, leaves its output there, and
returns a small dictionary for people to read. `run` names the work area; calling a stage again with the
same run replaces what it left. The edge of the library: environment and clock are read here. `begin` opens
work area and lake; a replay hands in its own (etl/replay/draft.py), so that the same stages work on its draft.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from etl import aggregate as aggregation
from etl import batch, layout, release, settings, tally
from etl import collect as collection
from etl import deduplicate as deduplication
from etl import extract as extraction
from etl import normalize as normalization
from etl import publish as publication
from etl import sweep as sweeping
from etl import unread as missing
from etl import validate as validation
from etl.batch import Read
from etl.contract import Contract
from etl.errors import Retryable, SettingError, UsageError
from etl.lookup import build_streams, covered, missed, query_hint, statement_text, streams
from etl.statement import gaps
from etl.store import Store
from etl.tables import MANIFEST, UNREAD, USAGE_ARRIVAL, USAGE_DAILY, USAGE_EVENT
from etl.validate import Subject, usage
from etl.work import Begin, Work, begin, entries, versions

__all__ = ["build_streams", "query_hint", "statement_text", "streams"]  # what else DAGs ask


def extract(stream: str, landed_date: date, run: str) -> dict:
    """List and pin what landed, and what no manifest covers yet; plan batches of objects. Without a batch there
    is nothing to normalize, collect or validate: `publish_arrivals` follows."""
    work = begin(stream, run)
    base = release.latest(work.lake)
    work.refuse_other_key(base)
    known = covered(work, base, extraction.window(work.contract, landed_date))
    found = extraction.extract(work.landing, work.contract, landed_date, known)
    lost = extraction.lost(work.landing, work.contract, landed_date, missed(work, base))
    gone = found.unread + lost
    idle = not (found.objects or gone or found.dates & known.keys())
    return work.plan(base, landed_date, found.dates, found.objects, gone, idle)


def normalize(stream: str, run: str, number: int, begin: Begin = begin) -> dict:
    """Read one batch of the manifest into accepted and refused rows; why it failed is kept beside it."""
    work = begin(stream, run)
    objects = batch.objects(work.load("manifest.json"), number)
    with batch.failure_kept(work, number, objects), work.scratch() as folder:
        results, missed = normalization.normalize(
            work.settings, work.landing, work.contract, objects, folder
        )
        batch.save(work, number, results, missed, folder)
    return _summary(stream, Read(results, missed))


def collect(stream: str, run: str, begin: Begin = begin) -> dict:
    """Merge the batches into the partitions of their landed dates; what was not read is named."""
    work = begin(stream, run)
    plan = work.load("manifest.json")
    with work.scratch() as folder:
        read = batch.load(work, plan, folder)
        dates = [date.fromisoformat(day) for day in plan["landed_dates"]]
        out, base = work.staged(folder), work.base(plan["base"])
        collection.collect(work.settings, work.contract, base, dates, read, out)
    work.save(out.tables, "collected.json")
    work.save({"unread": [one.to_json() for one in read.unread]}, "unread.json")
    return _summary(stream, read) | {"partitions": len(out.tables.get(USAGE_ARRIVAL.name, {}))}


def unread(stream: str, run: str, begin: Begin = begin) -> list[dict]:
    """Objects that this run was to read and could not, each with its reason and what was said."""
    return begin(stream, run).load("unread.json")["unread"]


def expect_all_read(streams: Iterable[str], run: str) -> None:
    """SourceError where this run could not read some of its objects: for the end of a run, when all others
    are published."""
    missing.refuse({stream: unread(stream, run) for stream in streams})


def validate_arrivals(stream: str, run: str, begin: Begin = begin) -> dict:
    """Judge the staged arrivals of each landed date; QualityError publishes nothing."""
    work = begin(stream, run)
    tables, results = work.load("collected.json"), {}
    for name, entry in tables[MANIFEST.name].items():
        day = layout.partition_values(name)["landed_date"]
        arrivals = entries(tables, USAGE_ARRIVAL.name, f"landed_date={day}")
        if entry is None or not arrivals:
            continue
        tallies = entries(tables, "tally", f"date={day}")
        subject = usage(
            USAGE_ARRIVAL, versions(work), date.fromisoformat(day), None, arrivals, tallies
        )
        entry["validation"] = _validate(work, subject)
        results[day] = work.lake.url(entry["validation"])
    work.save(tables, "validated.json")
    return {"validated": len(results), "results": results}


def publish_arrivals(stream: str, run: str, begin: Begin = begin) -> dict:
    """Publish arrivals, quarantine and manifest; returns the usage dates that are to be built, and the landed
    dates of which a statement tells something else now, although perhaps nothing is to be built."""
    work = begin(stream, run)
    plan, tables = work.load("manifest.json"), work.load("validated.json")
    done, touched = publication.publish_arrivals(
        work.settings, work.lake, work.contract, plan["base"], run, tables, _now()
    )
    _follow(work, done)
    days = {str(day) for day in touched} | {
        day for name, day in (one.split("/") for one in done.pending) if name == stream
    }
    if not touched:  # a rerun over unchanged landing: build its dates again, to the same bytes
        own = done.partitions(USAGE_ARRIVAL.name, stream=stream, landed_date=plan["landed_date"])
        days |= {layout.partition_values(name)["usage_date"] for name in own}
    ledgers = [name for table in (MANIFEST, UNREAD) for name in tables.get(table.name, {})]
    landed = {layout.partition_values(name)["landed_date"] for name in ledgers}
    landed |= gaps.moved(work.settings, work.lake, work.contract, plan["base"], done)
    return {
        "landed_dates": sorted(landed),
        "objects_unread": len(work.load("unread.json")["unread"]),
        "release": done.number,
        "usage_dates": sorted(days),
    }


def deduplicate(usage_date: date, stream: str, run: str, begin: Begin = begin) -> dict:
    """Stage the events of one stream and date."""
    work = begin(stream, run)
    base = release.latest(work.lake)
    with work.scratch() as folder:
        out = work.staged(folder)
        tallies = deduplication.deduplicate(
            work.settings, work.lake, work.contract, base, usage_date, folder, out
        )
    work.save({"base": base.number, "tables": out.tables}, str(usage_date), "events.json")
    return tally.summary(tallies)


def aggregate(usage_date: date, stream: str, run: str, begin: Begin = begin) -> dict:
    """Stage the daily totals of one stream and date from its staged events."""
    work = begin(stream, run)
    plan = work.load(str(usage_date), "events.json")
    with work.scratch() as folder:
        out = work.staged(folder, plan["tables"])
        base = work.base(plan["base"])
        tallies = aggregation.aggregate(
            work.settings, work.lake, work.contract, base, usage_date, work.why, folder, out
        )
    work.save(plan | {"tables": out.tables}, str(usage_date), "daily.json")
    return tally.summary(tallies)


def validate(usage_date: date, stream: str, run: str, begin: Begin = begin) -> dict:
    """Judge staged events and daily totals; QualityError publishes nothing."""
    work = begin(stream, run)
    plan = work.load(str(usage_date), "daily.json")
    tables, results = plan["tables"], {}
    for table, stage in ((USAGE_EVENT, "deduplicate"), (USAGE_DAILY, "aggregate")):
        for entry in filter(None, tables[table.name].values()):
            tallies = entries(tables, "tally", f"stage={stage}")
            subject = usage(table, versions(work), usage_date, usage_date, (entry,), tallies)
            entry["validation"] = _validate(work, subject)
            results[table.name] = work.lake.url(entry["validation"])
    work.save(plan, str(usage_date), "validated.json")
    return {"validated": len(results), "results": results}


def publish(usage_date: date, stream: str, run: str, begin: Begin = begin) -> dict:
    """Publish events, daily totals and ledgers of one stream and date in one release."""
    work = begin(stream, run)
    plan = work.load(str(usage_date), "validated.json")
    done = publication.publish_build(
        work.lake, stream, usage_date, plan["base"], run, plan["tables"], _now()
    )
    _follow(work, done)
    daily = done.partitions(USAGE_DAILY.name, stream=stream, usage_date=usage_date)
    return {
        "release": done.number,
        "totals": {k: v for one in daily.values() for k, v in one["totals"].items()},
    }


def ingest(stream: str, landed_date: date, run: str) -> dict:
    """All stages from landing to published arrivals, in this process. A batch that fails holds back no other:
    its objects are unread. Where all failed for want of what they run on, that is raised in the end."""
    plan, failures, read = extract(stream, landed_date, run), [], _summary(stream, Read())
    for number in plan["batches"]:
        try:
            normalize(stream, run, number)
        except UsageError as error:
            failures.append(error)
    if plan["batches"]:
        read = collect(stream, run)
        validate_arrivals(stream, run)
    done = publish_arrivals(stream, run)
    around = [one for one in failures if isinstance(one, Retryable | SettingError)]
    if around and len(around) == len(plan["batches"]):
        raise around[0]
    return read | done


def build(usage_date: date, stream: str, run: str, begin: Begin = begin) -> dict:
    """All stages from published arrivals to published daily totals, in this process."""
    kept = deduplicate(usage_date, stream, run, begin)
    aggregate(usage_date, stream, run, begin)
    validate(usage_date, stream, run, begin)
    return kept | publish(usage_date, stream, run, begin)


def sweep(run: str, dry_run: bool = False) -> dict:
    """Delete what runs left behind: work areas and staged files that no release names."""
    env = settings.from_environment()
    lake, before = Store(env.lake), _now() - timedelta(days=env.sweep_after_days)
    found = sweeping.plan(lake, before) if dry_run else sweeping.sweep(lake, run, before, _now())
    return {
        "objects": len(found.work) + len(found.staged),
        "bytes": sum(found.work.values()) + sum(found.staged.values()),
        "work": sorted(found.work),
        "staged": sorted(found.staged),
    }


def _validate(work: Work[Contract], subject: Subject) -> str:
    with work.scratch() as folder:
        return validation.validate(work.settings, work.lake, subject, folder)


def _follow(work: Work, done: release.Release) -> None:
    """Readers follow what is published; nobody reads a draft."""
    if not work.replay:
        publication.follow(work.lake, done)


def _summary(stream: str, read: Read) -> dict:
    tallies = [one for result in read.results for one in result.tallies(stream)]
    counts = {
        "objects": len(read.results),
        "objects_refused": sum(one.outcome != "read" for one in read.results),
        "objects_unread": len(read.unread),
    }
    return counts | tally.summary(tallies)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
