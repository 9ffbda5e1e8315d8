"""SIGKILL at any moment, then the same again: the lake of a run that nobody disturbed, byte for byte."""

import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from deploy.embedded.environment import ROOT
from etl import catalog, lookup, release, sql, sweep
from etl.settings import Location
from etl.store import Store
from tests.conftest import Lake
from tests.events import DAY, evening, event, key, lines, void

STREAM = "app_usage"
NEXT = DAY + timedelta(days=1)
KILLS = 20  # of one lake; the suite does two lakes, make soak fifty
LATER = datetime.now() + timedelta(days=400)
SUMS = """SELECT (SELECT coalesce(sum(quantity), 0) FROM usage_event)::VARCHAR AS events,
    (SELECT coalesce(sum(quantity), 0) FROM usage_daily)::VARCHAR AS totals"""


class Drill:
    """The process that forks a worker for each attempt."""

    def __init__(self, road: str = "stages") -> None:
        self.road = road
        command = [sys.executable, "-W", "ignore", "-m", "tests.drill"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def attempt(self, lake: Lake, steps: list, kill_at: int | None = None, when: str = "") -> dict:
        order = {"environment": lake.settings, "road": self.road, "steps": steps}
        order |= {"kill_at": kill_at, "when": when}
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def drill() -> Iterator[Drill]:
    made = Drill()
    yield made
    made.process.kill()
    made.process.wait()


@pytest.fixture(scope="module")
def undisturbed(object_store, drill) -> tuple[Lake, list]:
    """A lake of two landed dates with a repeat, a void and a late record; and the steps that made it."""
    with pytest.MonkeyPatch.context() as patch:
        lake = Lake(object_store, "undisturbed", patch)
    first = [event(f"e{n}", n, at=f"{DAY}T{n:02}:00:00Z") for n in range(1, 20)]
    lake.land(key(DAY), lines(*first), evening(DAY))
    late = [first[3], void("e5", at=f"{NEXT}T01:00:00Z"), event("late", 7), '{"broken']
    other = [event(f"n{n}", n, at=f"{NEXT}T{n:02}:00:00Z") for n in range(1, 10)]
    lake.land(key(NEXT), lines(*late, *other), evening(NEXT))
    steps = [step for day in (DAY, NEXT) for step in ingest_steps(day)]
    steps += [step for day in (DAY, NEXT) for step in build_steps(day)]
    done = drill.attempt(lake, steps)
    assert (done["error"], done["killed"], done["done"]) == (None, False, len(steps))
    return lake, steps


def ingest_steps(day) -> list:
    run, landed = f"ingest-{day}", str(day)
    return [
        ["extract", STREAM, landed, run],
        ["normalize", STREAM, run, 0],
        ["collect", STREAM, run],
        ["validate_arrivals", STREAM, run],
        ["publish_arrivals", STREAM, run],
    ]


def build_steps(day) -> list:
    verbs = ("deduplicate", "aggregate", "validate", "publish")
    return [[verb, str(day), STREAM, f"build-{day}"] for verb in verbs]


def expect_survival(drill, undisturbed, object_store, monkeypatch, seed: int) -> None:
    """Kill workers one after another, each time beginning with the step that was not done; then compare."""
    whole, steps = undisturbed
    lake = Lake(object_store, f"{whole.name}-{seed}", monkeypatch)
    lake.settings["USAGE_EXPORT_LANDING"] = whole.settings["USAGE_EXPORT_LANDING"]
    monkeypatch.setenv("USAGE_EXPORT_LANDING", whole.settings["USAGE_EXPORT_LANDING"])
    rng, done, killed = random.Random(seed), 0, 0
    with Reader() as seen:
        while killed < KILLS:
            when = rng.choice(("before", "after"))
            told = drill.attempt(lake, steps[done:], rng.randint(1, 40), when)
            assert told["error"] is None, told
            killed += told["killed"]
            done = done + told["done"] if told["killed"] else rng.randrange(len(steps))
        told = drill.attempt(lake, steps)
    assert (told["error"], told["done"]) == (None, len(steps))
    assert seen["reads"] and not seen["mixtures"], seen

    expected, found = published(whole), published(lake)
    assert found == expected
    store = Store(Location("lake", f"{lake.name}/"))
    sweep.sweep(store, "sweep", LATER, LATER)
    assert not lake.keys("_work/")
    assert bytes_of(lake) == bytes_of(whole)


@pytest.mark.parametrize("seed", [1, 2])
def test_forty_kills_leave_the_lake_of_an_undisturbed_run(
    drill, undisturbed, object_store, monkeypatch, seed
):
    expect_survival(drill, undisturbed, object_store, monkeypatch, seed)


@pytest.mark.soak
def test_a_thousand_kills_leave_the_lake_of_an_undisturbed_run(
    drill, undisturbed, object_store, monkeypatch
):
    for seed in range(100, 150):
        expect_survival(drill, undisturbed, object_store, monkeypatch, seed)


class Reader:
    """Somebody who reads all the while: one release or another, never a mixture."""

    def __enter__(self) -> dict:
        self.seen: dict = {"reads": 0, "mixtures": []}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.read)
        self.thread.start()
        return self.seen

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def read(self) -> None:
        while not self.ended.wait(0.5):
            found, lake = lookup.open_release()
            with catalog.open_release(found, lake) as connection:
                (sums,) = sql.rows(connection, SUMS)
            self.seen["reads"] += 1
            if sums["events"] != sums["totals"]:
                self.seen["mixtures"].append((found.number, sums))


def published(lake: Lake) -> dict:
    """Entries of the newest release, less what names the run and the release that made them."""
    store = Store(Location("lake", f"{lake.name}/"))
    return {
        f"{table}/{name}": {k: v for k, v in entry.items() if k not in release.PROVENANCE}
        for table, partitions in release.latest(store).body["tables"].items()
        for name, entry in partitions.items()
    }


def bytes_of(lake: Lake) -> dict[str, str]:
    """Every data object with the hash that the store has of it."""
    store = Store(Location("lake", f"{lake.name}/"))
    skipped = ("_work/", "_docs/", "_release/", "_validation/", "_statement/")
    return {k: etag for k, (etag, _) in store.list("").items() if not k.startswith(skipped)}
