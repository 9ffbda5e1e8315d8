"""Releases: chained by hash, created once, none lost, older ones readable, a crash finished by the next."""

import hashlib
import json
import threading
from datetime import datetime
from itertools import pairwise

import pytest

from etl import judge, layout, release
from etl.errors import Corrupt, SourceError, StaleInput
from etl.release import Change
from etl.settings import Location
from etl.store import Store
from tests.events import DAY, evening, event, key, lines

NOW = datetime(2026, 11, 19)
OTHER = datetime(2026, 11, 20)
DAILY = "SELECT sum(quantity)::INTEGER AS q FROM usage_daily"


@pytest.fixture
def store(lake) -> Store:
    """A lake in which every file lies that change() names."""
    made = Store(Location("lake", f"{lake.name}/"))
    for day in range(1, 30):
        for rows in (1, 2, 3):
            made.write(file(day, rows), b"")
    return made


def test_each_release_names_the_hash_of_its_parent(store):
    for n in range(1, 4):
        release.publish(store, change(f"r{n}", n - 1, day=n), NOW)

    bodies = [store.read(layout.release(n)).data for n in range(1, 4)]
    parents = [json.loads(one)["parent_sha256"] for one in bodies]
    assert parents == ["", *(hashlib.sha256(one).hexdigest() for one in bodies[:2])]
    assert store.read(layout.CURRENT).data == bodies[-1]
    assert release.current(store).sha256 == hashlib.sha256(bodies[-1]).hexdigest()


def test_the_same_content_makes_no_release(store):
    release.publish(store, change("r1", 0), NOW)

    again = release.publish(store, change("r2", 1), OTHER)

    assert again.number == 1
    assert again.body["run"] == "r1"
    assert release.current(store).number == 1


def test_a_publish_that_is_tried_again_after_its_commit_finds_it_done(store):
    release.publish(store, change("r1", 0), NOW)

    assert release.publish(store, change("r1", 0), NOW).number == 1


def test_what_another_run_published_after_the_base_is_stale(store):
    release.publish(store, change("r1", 0, rows=1), NOW)
    release.publish(store, change("r2", 1, rows=2), NOW)

    with pytest.raises(StaleInput, match=r"usage_daily/.* was published by r2 in release 2.*again"):
        release.publish(store, change("r3", 1, rows=3), NOW)

    assert release.current(store).number == 2


def test_a_partition_that_another_run_removed_after_the_base_is_stale(store):
    release.publish(store, change("r1", 0, rows=1), NOW)
    release.publish(store, change("r2", 1, rows=None), NOW)

    with pytest.raises(StaleInput):
        release.publish(store, change("r3", 1, rows=3), NOW)


def test_an_entry_keeps_the_release_that_made_it(store):
    release.publish(store, change("r1", 0, day=1), NOW)
    release.publish(store, change("r2", 1, day=2), NOW)

    entries = release.current(store).partitions("usage_daily")

    assert [(one["since"], one["run"]) for one in entries.values()] == [(1, "r1"), (2, "r2")]


def test_writers_that_race_on_different_partitions_lose_nothing(store):
    def publish(writer: int) -> None:
        for n in range(10):
            release.publish(store, change(f"w{writer}", 0, day=10 * writer + n, stream="s"), NOW)

    threads = [threading.Thread(target=publish, args=(writer,)) for writer in (1, 2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    last = release.current(store)
    assert last.number == 20
    assert sorted(last.partitions("usage_daily")) == [name(day, "s") for day in range(10, 30)]
    chain = [release.load(store, n) for n in range(1, 21)]
    for parent, child in pairwise(chain):
        assert child.body["parent_sha256"] == parent.sha256
        assert len(child.body["changed"]) == 1


def test_two_writers_of_one_partition_from_one_base_cannot_both_publish(store):
    outcome: list[object] = []

    def publish(rows: int) -> None:
        try:
            outcome.append(release.publish(store, change(f"w{rows}", 0, rows=rows), NOW).number)
        except StaleInput as error:
            outcome.append(type(error))

    threads = [threading.Thread(target=publish, args=(rows,)) for rows in (1, 2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert sorted(outcome, key=str) == [1, StaleInput]


def test_a_writer_that_dies_before_the_pointer_is_finished_by_the_next(store, monkeypatch):
    release.publish(store, change("r1", 0, day=1), NOW)
    with monkeypatch.context() as crash:
        crash.setattr(release, "_point_at", dies)
        with pytest.raises(KeyboardInterrupt):
            release.publish(store, change("r2", 1, day=2), NOW)
    assert (release.current(store).number, release.latest(store).number) == (1, 2)

    unchanged = release.publish(store, change("r3", 2, day=2), NOW)

    assert (unchanged.number, release.current(store).number) == (2, 2)


def test_a_pointer_never_moves_back(store):
    release.publish(store, change("r1", 0, day=1), NOW)
    first = store.read(layout.CURRENT).data
    release.publish(store, change("r2", 1, day=2), NOW)

    release.advance(store, layout.CURRENT, first, 1)

    assert release.current(store).number == 2


def test_a_release_whose_parent_is_another_than_the_one_that_lies_there_is_corrupt(store):
    release.publish(store, change("r1", 0, day=1), NOW)
    body = json.loads(store.read(layout.release(1)).data)
    forged = body | {"release": 2, "parent": 1, "parent_sha256": "0" * 64}
    store.create(layout.release(2), json.dumps(forged).encode())

    with pytest.raises(Corrupt):
        release.latest(store)


def test_an_older_release_gives_the_old_totals(lake, monkeypatch):
    monkeypatch.setattr(judge, "judge", lambda *_: [])  # the slow part, and not ours here
    lake.land(key(), lines(event("a", 5)), evening())
    lake.run("app_usage", DAY)
    old = lake.release().number
    lake.land(key(offset=1), lines(event("b", 6)), evening())

    lake.run("app_usage", DAY)

    assert (lake.rows(DAILY, old), lake.rows(DAILY)) == ([{"q": 5}], [{"q": 11}])
    assert lake.rows(DAILY, old - 1) == [{"q": None}], "arrivals only"
    with pytest.raises(SourceError, match=r"there is no release 99 in s3://lake/"):
        lake.rows(DAILY, 99)


def dies(*_: object) -> None:
    raise KeyboardInterrupt


def name(day: int, stream: str = "app_usage") -> str:
    return f"usage_date=2026-01-{day:02}/stream={stream}"


def file(day: int, rows: int) -> str:
    return f"{day}-{rows}.parquet"


def change(
    run: str, base: int, day: int = 1, rows: int | None = 1, stream: str = "app_usage"
) -> Change:
    entry = rows and {"files": [{"key": file(day, rows), "rows": rows}], "totals": {}}
    return Change(run, base, {"usage_daily": {name(day, stream): entry}})
