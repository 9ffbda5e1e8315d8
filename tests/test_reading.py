"""Readers over S3: one release or another, never a mixture, also while a writer publishes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from etl import catalog, judge, layout, lookup, publish, release, settings, sql
from etl.release import Change
from etl.staged import Staged
from etl.store import Store
from etl.tables import USAGE_DAILY, USAGE_EVENT
from tests.conftest import Lake, decide
from tests.events import DAY, evening, event, key, lines

DAYS = (date(2026, 11, 16), date(2026, 11, 17), DAY)
READS, RELEASES = 10, 5  # of the opened catalog, and that the views were seen at
PATIENCE = timedelta(minutes=5)
# what DuckDB raises when a file changed under it; its message may quote bytes of the file that are no text
REPLACED = (
    duckdb.HTTPException,
    duckdb.IOException,
    duckdb.SerializationException,
    UnicodeDecodeError,
)
STATE = """
    SELECT usage_date::VARCHAR AS day, min(quantity)::INTEGER AS low, max(quantity)::INTEGER AS high,
        sum(quantity)::INTEGER AS total, count(*) AS n
    FROM {table} WHERE usage_date < DATE '2026-11-19' GROUP BY ALL ORDER BY ALL"""
BOTH = f"SELECT (SELECT list(e) FROM ({STATE.format(table='usage_event')}) e) AS events, "
BOTH += f"(SELECT list(d) FROM ({STATE.format(table='usage_daily')}) d) AS daily"
TOTAL = "SELECT sum(quantity)::INTEGER AS q, count(*) AS n FROM usage_event"


@pytest.fixture(scope="module")
def lake(object_store):
    with pytest.MonkeyPatch.context() as monkeypatch:
        lake = Lake(object_store, "reading", monkeypatch)
        events = [event(f"{day}", at=f"{day}T10:00:00Z") for day in DAYS]
        lake.land(key(), lines(*events), evening())
        monkeypatch.setattr(judge, "judge", decide)
        lake.run("app_usage", DAY)
        yield lake


class Writer(threading.Thread):
    """Publishes all days at once, again and again; each publication puts its own number into every row."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder, self.stopped = folder, threading.Event()
        self.env = settings.from_environment()
        self.store = Store(self.env.lake)
        self.marker: dict[int, int] = {}  # release -> number in its rows
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            with sql.connect(self.env) as engine:
                self.fetch(engine)
                marker = 1
                while not self.stopped.is_set():
                    marker += 1
                    self.publish(engine, marker)
        except BaseException as error:
            self.failure = error

    def fetch(self, engine: duckdb.DuckDBPyConnection) -> None:
        for table in (USAGE_EVENT, USAGE_DAILY):
            files = release.files(release.current(self.store).partitions(table.name).values())
            paths = [
                self.store.fetch_verified(
                    one["key"], self.folder / f"{table.name}{n}", one["sha256"]
                )
                for n, one in enumerate(files)
            ]
            sql.give(engine, {f"first_{table.name}": paths}, {})

    def publish(self, engine: duckdb.DuckDBPyConnection, marker: int) -> None:
        out = Staged(self.store, self.folder, "app_usage/1.0.0", "key")
        for day in DAYS:
            partition = {"stream": "app_usage", "usage_date": day}
            for table in (USAGE_EVENT, USAGE_DAILY):
                query = f"SELECT * REPLACE ({marker} AS quantity) FROM first_{table.name}"
                own = {name: partition[name] for name in table.partition}
                out.add(engine, table, f"{query} WHERE usage_date = '{day}'", own)
        base = release.latest(self.store).number
        self.marker[base + 1] = marker  # before the commit, because a reader may see it at once
        done = release.publish(
            self.store, Change("writer", base, out.tables), datetime(2026, 11, 19)
        )
        assert done is not None and done.number == base + 1
        publish.follow(self.store, done)


@contextmanager
def writing(folder: Path) -> Iterator[Writer]:
    writer = Writer(folder)
    writer.marker[lookup.open_release()[0].number] = 1
    writer.start()
    try:
        yield writer
    finally:  # whatever the reader saw: the next test finds a lake at rest
        writer.stopped.set()
        writer.join(60)
    assert not writer.is_alive() and writer.failure is None
    assert len(writer.marker) >= 3, "the writer was at work"


def test_readers_never_see_a_mixture_while_a_writer_publishes(lake, tmp_path):
    (tmp_path / "writer").mkdir()
    seen: dict[str, list[tuple[int | None, int]]] = {"views": [], "catalog": []}
    patience = datetime.now() + PATIENCE
    with writing(tmp_path / "writer") as writer:
        while len(seen["catalog"]) < READS or len({one for _, one in seen["views"]}) < RELEASES:
            assert datetime.now() < patience and writer.failure is None, seen
            found, where = lookup.open_release()
            with catalog.open_release(found, where) as connection:
                seen["views"] += [(found.number, one_state(connection)) for _ in range(2)]
            try:
                with opened_catalog(lake) as connection:
                    first, second = one_state(connection), one_state(connection)
            except REPLACED:
                continue  # replaced while it was being opened: an error is fair, a mixture is not
            assert first == second, "one opened catalog is one release"
            seen["catalog"].append((None, first))

    committed = set(writer.marker.values())
    assert all(writer.marker[number] == state for number, state in seen["views"])
    assert {state for _, state in seen["catalog"]} <= committed


def one_state(connection: duckdb.DuckDBPyConnection) -> int:
    """The number that every row of both tables holds; fails where they differ."""
    (row,) = sql.rows(connection, BOTH)
    state = row["events"][0]["low"]
    expected = [{"day": str(d), "low": state, "high": state, "total": state, "n": 1} for d in DAYS]
    assert row["events"] == row["daily"] == expected
    return state


@contextmanager
def opened_catalog(lake) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"allow_unsigned_extensions": "true"}) as connection:
        catalog.connect_store(connection)
        url = f"s3://lake/{lake.name}/{layout.CATALOG}"
        connection.execute(f"ATTACH '{url}' AS catalog_of_lake (READ_ONLY); USE catalog_of_lake")
        yield connection


@pytest.fixture
def expected(lake) -> list[dict]:
    (row,) = lake.rows(TOTAL)
    assert row["n"] == 3
    return [row]


def test_views_sql_is_enough_for_any_duckdb_that_reaches_the_bucket(lake, expected):
    with duckdb.connect(config={"allow_unsigned_extensions": "true"}) as connection:
        catalog.connect_store(connection)

        connection.execute(lake.read(layout.VIEWS).decode())

        assert sql.rows(connection, TOTAL) == expected


def test_the_catalog_is_read_from_the_bucket(lake, expected):
    with opened_catalog(lake) as connection:
        assert sql.rows(connection, TOTAL) == expected


def test_views_and_catalog_read_a_local_copy_without_any_store(lake, expected, tmp_path):
    for one in lake.keys(""):
        (tmp_path / one).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / one).write_bytes(lake.read(one))
    here = f"SET VARIABLE lake = '{tmp_path}'"

    with duckdb.connect() as connection:
        connection.execute(here)
        connection.execute((tmp_path / layout.VIEWS).read_text())
        by_views = sql.rows(connection, TOTAL)
    with duckdb.connect(str(tmp_path / layout.CATALOG), read_only=True) as connection:
        connection.execute(here)
        by_catalog = sql.rows(connection, TOTAL)

    assert by_views == by_catalog == expected


def test_what_analysts_open_holds_no_credentials(lake, object_store):
    for one in (layout.VIEWS, layout.CATALOG, layout.CURRENT):
        body = lake.read(one)
        assert object_store.secret_key.encode() not in body
        assert object_store.access_key.encode() not in body


def test_what_analysts_open_follows_the_newest_release_only(lake):
    newest = lake.release()
    before = {one: lake.read(one) for one in (layout.VIEWS, layout.CATALOG)}

    publish.follow(Store(settings.from_environment().lake), lookup.open_release(2)[0])

    assert {one: lake.read(one) for one in before} == before
    assert before[layout.VIEWS].startswith(f"-- release {newest.number} of s3://".encode())
