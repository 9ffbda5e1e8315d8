"""Questions about landing and lake that change nothing: what is covered, waiting, current."""

from collections.abc import Callable, Collection
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from etl import (
    breaking,
    catalog,
    contract,
    discovery,
    extract,
    layout,
    mapping,
    release,
    settings,
    sql,
    staged,
)
from etl import unread as ledger
from etl.billing import contract as billing_contract
from etl.billing import mapping as charge_map
from etl.billing import succession
from etl.cli_dates import FIRST, LAST
from etl.errors import ContractError, SettingError, SourceError
from etl.release import Release
from etl.settings import Location
from etl.statement import day_page, nearby, text
from etl.statement import statement as statements
from etl.store import Store
from etl.tables import MANIFEST, UNREAD, USAGE_ARRIVAL, USAGE_DAILY, USAGE_EVENT
from etl.work import Work, begin

FAR_AHEAD = timedelta(days=366)  # of today, a landed date that is a mistake: no clock is that wrong


def streams() -> list[str]:
    return layout.stream_names(settings.without_store().contracts)


def known(stream: str) -> None:
    """SettingError where no usage contract has this name."""
    if stream in billing_contract.streams(settings.without_store().contracts):
        hint = f"usage-export billing ingest {stream}"
        raise SettingError(f"{stream} is a contract of bills: {hint}")
    if stream not in streams():
        listed = ", ".join(streams())
        raise SettingError(f"there is no contract for {stream}: known are {listed}")


def path(stream: str) -> str:
    """Where the objects of a stream are looked for in landing."""
    env = settings.from_environment()
    return env.landing.url(contract.load(env.contracts, stream).discovery.path)


def check_contract(stream: str) -> str:
    """The active version, once contract and SQL have been checked; ContractError otherwise."""
    env = settings.without_store()
    found = contract.load(env.contracts, stream)
    breaking.changes(env.contracts, found)
    with sql.connect(env) as engine:
        mapping.prepare(engine, found)
    return found.version


def breaking_changes(stream: str) -> list[str]:
    """What the active version of a usage contract breaks, as its major version says; none of a billing contract."""
    folder = settings.without_store().contracts
    if stream not in layout.stream_names(folder):
        return []
    return breaking.changes(folder, contract.load(folder, stream))


def check_billing_contract(stream: str) -> str:
    """The active version of a billing contract, checked the same way."""
    env = settings.without_store()
    found = billing_contract.load(env.contracts, stream)
    succession.refuse_wrong(env.contracts, found)
    with sql.connect(env) as engine:
        charge_map.check(engine, found)
    return found.version


def contract_checks() -> list[tuple[str, Callable[[str], str]]]:
    """Every stream that has a contract, and what checks it."""
    billing = billing_contract.streams(settings.without_store().contracts)
    return [
        *((one, check_contract) for one in streams()),
        *((one, check_billing_contract) for one in billing),
    ]


def covered(
    work: Work[contract.Contract], base: Release, dates: Collection[date] | None = None
) -> extract.Covered:
    """What manifests of the release cover: landed date -> object key -> ETag, or "" where the object
    could not be read when it was to be read again. Of these dates only, where keys state their date."""
    found: extract.Covered = {}
    not_read = {one.key for one in missed(work, base)}
    days = dates if work.contract.discovery.dated else None
    with work.scratch() as folder, sql.connect(work.settings) as engine:
        manifests = [
            entry
            for name, entry in base.partitions(MANIFEST.name, stream=work.stream).items()
            if days is None or layout.date_of(name, "landed_date") in days
        ]
        staged.give(engine, work.lake, "manifest", MANIFEST.name, manifests, folder)
        for row in sql.rows(
            engine, "SELECT landed_date, raw_object_key, raw_object_etag FROM manifest"
        ):
            key = row["raw_object_key"]
            etag = "" if key in not_read else row["raw_object_etag"]
            found.setdefault(row["landed_date"], {})[key] = etag
    return found


def backlog(stream: str) -> list[str]:
    """Landed objects of a stream that no manifest covers, whatever their date."""
    work = begin(stream, "backlog")
    known = covered(work, release.latest(work.lake))
    return extract.uncovered(work.contract, discovery.listing(work.landing, work.contract), known)


def unread(stream: str) -> dict[str, str]:
    """Landed objects of a stream that a run could not read, each with its reason."""
    work = begin(stream, "unread")
    return {one.key: one.reason for one in missed(work, release.latest(work.lake))}


def missed(work: Work[contract.Contract], base: Release) -> list[ledger.Unread]:
    """The same as a release holds it."""
    if not base.partitions(UNREAD.name, stream=work.stream):
        return []
    with work.scratch() as folder, sql.connect(work.settings) as engine:
        return ledger.ledger(engine, work.lake, base, work.stream, folder)


def build_streams(usage_date: date) -> list[str]:
    """Streams that have a contract, and rows on a usage date or wait there: a source that ended stays as published."""
    newest = release.latest(_lake())
    names = {
        layout.partition_values(name)["stream"]
        for table in (USAGE_ARRIVAL.name, USAGE_EVENT.name)
        for name in newest.partitions(table, usage_date=usage_date)
    }
    # a date without events that has lost its arrivals: repeats and voids of it are still published
    waits = {name.split("/")[0] for name in newest.pending if name.endswith(f"/{usage_date}")}
    return sorted((names | waits).intersection(streams()))


def status(today: date) -> dict:
    """The current release, dates that wait to be built, the backlog of each stream with what it waits for, landed
    objects that no contract reads, and contracts that are wrong: their streams have no backlog here."""
    env = settings.from_environment()
    found = release.current(Store(env.lake))
    good, wrong = {}, {}
    for stream in streams():
        try:
            good[stream] = contract.load(env.contracts, stream)
        except ContractError as error:  # of no concern to the others
            wrong[stream] = str(error)
    waiting = {stream: backlog(stream) for stream in good}
    return {
        "release": found.number,
        "created_at": found.body.get("created_at"),
        "pending": sorted(found.pending),
        "wrong": wrong,
        "backlog": waiting,
        "hints": {
            stream: _hints(found, good[stream], keys, today) for stream, keys in waiting.items()
        },
        "unread": {stream: unread(stream) for stream in good},
        "unmatched": discovery.unmatched(Store(env.landing), good.values()),
    }


def _hints(found: Release, of: contract.Contract, keys: list[str], today: date) -> dict[str, str]:
    """Of those keys that no run will read by itself, why, and what does."""
    names = found.partitions(MANIFEST.name, stream=of.stream)
    ahead = today + FAR_AHEAD
    read = [day for name in names if FIRST <= (day := layout.date_of(name, "landed_date")) <= ahead]
    start = min(extract.window(of, max(read) + timedelta(days=1))) if read else date.min
    days = {key: discovery.key_date(of, key) for key in keys} if of.discovery.dated else {}
    hints = {}
    for key, named in days.items():
        if named is None or not FIRST <= named <= LAST:
            hints[key] = (
                "the date in its key is none of the calendar, no run reads it: land it under its true date"
            )
        elif named > ahead:
            hints[key] = (
                f"no run reads it before {named}, the date in its key: land it under its true date"
            )
        elif named < start:
            command = f"usage-export ingest {of.stream} --landed {named}"
            hints[key] = f"no run looks back to its date, `{command}` reads it"
    return hints


def open_release(number: int | None = None) -> tuple[Release, Location]:
    """The current release or an older one by its number, and where its files lie."""
    lake = _lake()
    return (release.current(lake) if number is None else release.load(lake, number)), lake.location


def newest_usage_date(number: int | None = None) -> date:
    found, lake = open_release(number)
    days = [
        layout.partition_values(name)["usage_date"] for name in found.partitions(USAGE_DAILY.name)
    ]
    if not days:
        where = f"{lake.url()}, release {found.number}"
        raise SourceError(f"no usage date is published in {where}: ingest and build first")
    return date.fromisoformat(max(days))


def statement(usage_date: date, number: int | None = None) -> dict:
    """What the current release, or an older one by its number, knows of a usage date."""
    env = settings.from_environment()
    found, _ = open_release(number)
    lake = Store(env.lake)
    read = statements.narrowed(found, usage_date)
    with (
        TemporaryDirectory(prefix="usage-export-", dir=env.scratch) as folder,
        catalog.open_release(read, env.lake) as engine,
    ):
        nearby.give(engine, lake, found, usage_date, Path(folder))
        return statements.statement(engine, found, lake, usage_date)


def statement_text(usage_date: date, number: int | None = None) -> str:
    return text.text(statement(usage_date, number))


def statement_html(usage_date: date, number: int | None = None) -> str:
    return day_page.page(statement(usage_date, number), among_others=False)


def query_hint() -> str:
    """The query that an analyst would use next."""
    return (
        "SELECT usage_date, stream, meter, unit, sum(quantity) AS quantity, sum(events) AS events "
        "FROM usage_daily GROUP BY ALL ORDER BY ALL"
    )


def _lake() -> Store:
    return Store(settings.from_environment().lake)
