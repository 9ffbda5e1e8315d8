"""Two workers at once on the same dates, and a sweep beside them: nothing lost, nothing twice, the loser says why."""

import threading
from collections.abc import Callable

import pytest

from etl import sweep
from etl.errors import StoreUnavailable
from etl.settings import Location
from etl.store import Store
from tests.conftest import Lake
from tests.events import DAY, evening, event, key, lines
from tests.test_kill import (
    LATER,
    NEXT,
    STREAM,
    Drill,
    build_steps,
    bytes_of,
    ingest_steps,
    published,
)

SWEEPS = 2  # without an end, two workers would never get anywhere
LOSES = ("StaleInput: ", "Vanished: get ")  # published over or swept; swept before it was judged


@pytest.fixture(scope="module")
def drills():
    made = (Drill(), Drill())
    yield made
    for one in made:
        one.process.kill()
        one.process.wait()


@pytest.fixture(scope="module")
def alone(object_store, drills) -> Lake:
    """The lake as one worker makes it; the two share its landing."""
    with pytest.MonkeyPatch.context() as patch:
        lake = Lake(object_store, "concurrent", patch)
    for n, day in enumerate((DAY, NEXT)):
        made = [event(f"e{n}-{i}", i, at=f"{day}T{i:02}:00:00Z") for i in range(1, 20)]
        lake.land(key(day), lines(*made, event("again", 3)), evening(day))
    steps = [*ingest_steps(DAY), *ingest_steps(NEXT), *build_steps(DAY), *build_steps(NEXT)]
    assert drills[0].attempt(lake, steps)["error"] is None
    return lake


@pytest.fixture
def shared(alone, lake) -> Lake:
    lake.settings["USAGE_EXPORT_LANDING"] = alone.settings["USAGE_EXPORT_LANDING"]
    return lake


def test_two_workers_on_the_same_dates_make_what_one_makes(drills, alone, shared):
    lost = together(
        *(
            worker(drill, shared, [named(ingest_steps(day), n) for day in days])
            for n, (drill, days) in enumerate(zip(drills, ((DAY, NEXT), (NEXT, DAY)), strict=True))
        )
    )
    lost += together(
        *(
            worker(drill, shared, [named(build_steps(day), n) for day in days])
            for n, (drill, days) in enumerate(zip(drills, ((DAY, NEXT), (NEXT, DAY)), strict=True))
        )
    )

    expect_reasons(lost)
    assert published(shared) == published(alone)


def test_a_sweep_that_deletes_all_it_may_beside_two_workers_hurts_nobody(drills, alone, shared):
    store, ended = Store(Location("lake", f"{shared.name}/")), threading.Event()
    sweeps: list[dict] = []

    def sweeper() -> list[str]:
        while len(sweeps) < SWEEPS and not ended.wait(0.3):
            try:
                doomed = sweep._claim(store, "sweep", sweep.plan(store, LATER).staged, LATER)
            except StoreUnavailable:
                continue  # publishers were faster, as they may be
            if doomed:
                sweeps.append(doomed)
                sweep._end(store, "sweep", [*doomed], LATER)
        return []

    def workers() -> list[str]:
        try:
            lanes = [ingest_steps(DAY), ingest_steps(NEXT), build_steps(DAY), build_steps(NEXT)]
            return together(*(worker(drill, shared, lanes[n::2]) for n, drill in enumerate(drills)))
        finally:
            ended.set()

    # given workers and a sweep without any patience, which deletes what they stage under their hands
    lost = together(sweeper, workers)

    # then it did delete such files, the workers said so and began again, and all of it is there
    assert sweeps
    expect_reasons(lost)
    last = worker(drills[0], shared, [*map(named, (build_steps(DAY), build_steps(NEXT)), (7, 7))])()
    assert last == []
    assert published(shared) == published(alone)
    assert bytes_of(alone).items() <= bytes_of(shared).items()  # and what an older release names


def named(steps: list, n: int) -> list:
    """The same lane under a run of its own."""
    return [
        [f"{one}-{n}" if str(one).startswith(("ingest-", "build-")) else one for one in step]
        for step in steps
    ]


def worker(drill: Drill, lake: Lake, lanes: list[list]) -> Callable[[], list[str]]:
    """Does each lane, whole again where another run was faster; returns why it lost."""

    def work() -> list[str]:
        lost = []
        for lane in lanes:
            while error := drill.attempt(lake, lane)["error"]:
                assert error.startswith(LOSES), error
                lost.append(error)
                assert len(lost) < 50
        return lost

    return work


def together(*actions: Callable[[], list[str]]) -> list[str]:
    """All at once; what they return, in one list. An action that fails fails the test."""
    barrier, told, failed = threading.Barrier(len(actions)), [], []

    def run(action: Callable[[], list[str]]) -> None:
        barrier.wait()
        try:
            told.extend(action())
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if failed:
        raise failed[0]
    return told


def expect_reasons(lost: list[str]) -> None:
    """Each names the partition and the other run, or the file that was swept."""
    for reason in lost:
        assert STREAM in reason
        assert "run again from its first stage" in reason or "there is no such object" in reason
