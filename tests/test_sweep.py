"""What runs left behind is deleted, nothing else; a publisher and a sweep never hurt each other."""

import json
from datetime import datetime, timedelta

import pytest

from etl import cli, layout, release, stages, sweep
from etl.errors import SettingError, StaleInput, StoreUnavailable
from etl.release import Change
from etl.settings import Location, from_environment
from etl.store import Store
from tests.events import DAY, evening, event, key, lines

pytestmark = pytest.mark.usefixtures("quick_judge")

LATER = datetime.now() + timedelta(days=400)  # everything written until then is old
LEFT = "usage_daily/usage_date=2026-01-01/stream=s/00000000deadbeef.parquet"


@pytest.fixture
def store(lake) -> Store:
    return Store(Location("lake", f"{lake.name}/"))


@pytest.fixture
def published(lake) -> list[str]:
    """A lake with two releases of totals, as runs that ended well leave it, less their work areas."""
    lake.land(key(), lines(event("a", 5)), evening())
    lake.run("app_usage", DAY)
    lake.land(key(offset=1), lines(event("b", 6)), evening())
    lake.run("app_usage", DAY)
    return [one for one in lake.keys("") if not one.startswith("_work/")]


def test_work_areas_and_unnamed_files_go_and_every_release_stays_readable(lake, store, published):
    store.write(LEFT, b"left by a run that died")
    work = lake.keys("_work/")
    assert work

    done = sweep.sweep(store, "sweep", LATER, LATER)

    assert (sorted(done.work), list(done.staged)) == (sorted(work), [LEFT])
    assert set(published) <= set(lake.keys(""))
    assert not lake.keys("_work/") and LEFT not in lake.keys("")
    totals = "SELECT sum(quantity)::INTEGER AS q FROM usage_daily"
    found = [lake.rows(totals, n)[0]["q"] for n in range(1, lake.release().number + 1)]
    assert found == [None, 5, 5, 11, 11, 11]
    assert lake.release().sweeping == {}


def test_what_is_young_stays_and_a_run_of_which_one_object_is_young_stays_whole(lake, store):
    for one in (LEFT, layout.work("old", "s", "a.json"), layout.work("live", "s", "a.json")):
        store.write(one, b"{}")
    ages = store.aged("")
    middle = max(modified for modified, *_ in ages.values())

    found = sweep.plan(store, middle)
    assert (found.work, found.staged) == ({}, {}), (
        "nothing is older than the second it was written in"
    )

    moved = {name: (datetime(2020, 1, 1), size, etag) for name, (_, size, etag) in ages.items()}
    moved[layout.work("live", "s", "b.json")] = (LATER, 1, "")

    class Aged(Store):
        def aged(self, prefix):
            return {name: one for name, one in moved.items() if name.startswith(prefix)}

    found = sweep.plan(Aged(store.location), middle)
    assert list(found.work) == [layout.work("old", "s", "a.json")]
    assert list(found.staged) == [LEFT]


def test_a_lake_without_anything_left_gets_no_release(lake, store, published):
    before = lake.release()
    store.delete(lake.keys("_work/"))

    done = sweep.sweep(store, "sweep", LATER, LATER)

    assert (done.work, done.staged) == ({}, {})
    assert lake.release() == before


def test_dry_run_lists_and_deletes_nothing(lake, store, published, monkeypatch, capsys):
    store.write(LEFT, b"left")
    monkeypatch.setattr(stages, "_now", lambda: LATER)
    before = lake.keys("")

    assert cli.main(["sweep", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert LEFT in said and "would delete" in said and "1 of staged files" in said
    assert lake.keys("") == before

    assert cli.main(["sweep"]) == 0
    assert "deleted" in capsys.readouterr().out
    assert LEFT not in lake.keys("") and set(published) <= {*lake.keys("")}


def test_the_age_is_a_setting(lake, monkeypatch):
    assert from_environment().sweep_after_days == 7
    monkeypatch.setenv("USAGE_EXPORT_SWEEP_AFTER_DAYS", "soon")
    with pytest.raises(SettingError, match="USAGE_EXPORT_SWEEP_AFTER_DAYS"):
        from_environment()


@pytest.mark.parametrize("moment", ["claimed", "deleted"])
def test_a_run_that_staged_what_is_being_swept_publishes_nothing_and_its_rerun_does(
    lake, store, monkeypatch, moment
):
    # given a run that staged a file long ago, under the key that its rerun finds
    change = staged(store, base=0)

    # when it publishes between the claim of a sweep and its end, then it is told to begin again
    def meanwhile(keys):
        if moment == "deleted":
            delete(keys)
        with pytest.raises(StaleInput, match="is being swept: run again from its first stage"):
            release.publish(store, change, datetime(2026, 1, 1))
        delete(keys)

    delete = store.delete
    monkeypatch.setattr(store, "delete", meanwhile)
    sweep._end(store, "sweep", [*sweep._claim(store, "sweep", {LEFT: 4}, LATER)], LATER)
    monkeypatch.undo()

    # and when the sweep has ended, the file is gone: the same again
    with pytest.raises(StaleInput, match="is being swept"):
        release.publish(store, change, datetime(2026, 1, 1))
    assert "usage_daily" not in release.latest(store).body["tables"]

    # and the rerun stages it anew
    rerun = staged(store, base=2)
    assert release.publish(store, rerun, datetime(2026, 1, 1)).named() == {LEFT}
    assert LEFT in lake.keys("")


def test_what_is_published_between_plan_and_claim_is_left_alone(lake, store):
    change = staged(store, base=0)
    found = sweep.plan(store, LATER)
    assert list(found.staged) == [LEFT]

    release.publish(store, change, datetime(2026, 1, 1))

    assert sweep._claim(store, "sweep", found.staged, LATER) == {}
    assert release.latest(store).sweeping == {}


def test_a_publisher_that_had_read_the_release_before_the_claim_looks_again(store, monkeypatch):
    change = staged(store, base=0)
    create = store.create

    def late(*arguments):
        monkeypatch.undo()
        sweep._claim(store, "sweep", {LEFT: 4}, LATER)
        return create(*arguments)

    monkeypatch.setattr(store, "create", late)
    with pytest.raises(StaleInput, match="is being swept"):
        release.publish(store, change, datetime(2026, 1, 1))


def test_a_second_sweep_waits_and_ends_one_that_died_an_hour_later(lake, store):
    store.write(LEFT, b"left")
    sweep._claim(store, "died", {LEFT: 4}, LATER)

    with pytest.raises(StoreUnavailable, match=r"another sweep began at .* an hour later"):
        sweep.sweep(store, "second", LATER, LATER + timedelta(minutes=59))
    assert LEFT in lake.keys("")

    sweep.sweep(store, "third", LATER, LATER + timedelta(minutes=61))
    assert LEFT not in lake.keys("")
    assert release.latest(store).sweeping == {}


def staged(store: Store, base: int) -> Change:
    """What a run has made: a file under its final key, found there or created."""
    store.create(LEFT, b"made")
    entry = {"files": [{"key": LEFT, "sha256": "", "bytes": 4, "rows": 1}], "totals": {}}
    return Change("run", base, json.loads(json.dumps({"usage_daily": {"p": entry}})))
