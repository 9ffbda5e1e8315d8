"""Whole days through a real object store and the real DAGs, run by Airflow in a process of its own."""

import re
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from deploy.embedded.environment import ROOT
from sample import generate
from sample.land import land
from tests.dag_runs import Runs
from tests.events import DAY, evening, event, key, lines
from tests.test_whole_day import daily_totals, expected_totals

pytestmark = pytest.mark.airflow

XCOM_BYTES = 2048
RAW_ID = re.compile("[0-9a-f]{32}")
LATE_DAY, IDLE_DAY = DAY + timedelta(days=3), DAY + timedelta(days=4)
IDLE = {"every_lane_published", "every_object_read", "statement"} | {
    f"{stream}.publish" for stream in ("app_usage", "cloudtrail", "s3_access")
}


@pytest.fixture
def contracts(tmp_path) -> Path:
    return shutil.copytree(ROOT / "contracts", tmp_path / "contracts")


@pytest.fixture
def runs(lake, object_store, tmp_path, contracts) -> Iterator[Runs]:
    with Runs(None, lake, object_store, tmp_path, USAGE_EXPORT_CONTRACTS=str(contracts)) as made:
        yield made


def test_days_come_out_exactly_and_again_and_a_late_file_rebuilds_its_date(runs, lake):
    # given one sample day, and what lands of it on the day after
    made = generate(7, DAY, 1)
    land(made, "landing", f"{lake.name}/", lake.client)

    # when it runs, then the totals are those of the generator
    expect_success(run(runs, *made.landed_dates))
    assert daily_totals(lake) == expected_totals(made.truth)
    assert lake.release().pending == {}
    first, objects, days = lake.release(), files(lake), built(runs)
    assert days == [str(one) for one in made.landed_dates]

    # when a day runs again, then nothing changes: same release, same objects, byte for byte
    expect_success(run(runs, DAY))
    assert lake.release() == first
    assert files(lake) == objects
    assert built(runs) == days + days[:1]

    # when an event of the first day lands three days late, then only its date is built
    late = lines(event("three-days-late", at="2026-11-18T10:00:00Z"))
    lake.land(key(LATE_DAY, offset=900_000), late, evening(LATE_DAY))
    expect_success(run(runs, LATE_DAY))
    assert built(runs) == [*days, days[0], str(DAY)]
    assert changed(first, lake.release()) == {"app_usage": {f"usage_date={DAY}"}}
    assert restated(lake) == [("api_calls", 1)]

    # when nothing is new on a day, then its lanes go from extract to publish and change nothing
    expect_idle(runs, lake, IDLE_DAY)

    # and the runs of before are still there to look at, with small XComs of tallies
    assert {state for (state,) in runs.asked("SELECT state FROM dag_run")} == {"success"}
    states = "SELECT DISTINCT state FROM task_instance"
    assert {state for (state,) in runs.asked(states)} == {"success", "skipped"}
    tenants = {one["tenant_id"] for one in made.truth["daily_totals"]} - {"UNATTRIBUTED"}
    expect_small_xcoms(runs, tenants)

    # and the pages for people followed, also those of days on which only a late object landed, or none
    pages = {one.removeprefix("_statement/") for one in lake.keys("_statement/")}
    assert pages == {f"{name}.html" for name in ("index", LATE_DAY, IDLE_DAY, *days)}


def test_a_lane_that_fails_names_itself_and_holds_back_no_other(runs, lake, contracts):
    # given two contracts, of which one no longer fits the library
    shutil.rmtree(contracts / "cloudtrail")
    (broken,) = (contracts / "s3_access").glob("*.yaml")
    sound = broken.read_text()
    broken.write_text(sound.replace("format: text_lines", "format: papyrus"))
    made = generate(5, DAY, 1)
    land(made, "landing", f"{lake.name}/", lake.client)
    expected = expected_totals(made.truth)

    # when the first landed date runs
    code, said = run(runs, DAY)

    # then the run fails, names the lane and the file to mend
    assert code == 1
    assert f"usage_ingest {DAY}: failed in s3_access.extract" in said
    assert broken.name in said and "papyrus" in said
    # and the other stream is published, announced and built
    assert {stream for _, stream, *_ in daily_totals(lake)} == {"app_usage"}
    assert str(DAY) in built(runs)
    assert lake.release().pending == {}

    # when the contract is mended, then the next run reads what was left
    broken.write_text(sound)
    expect_success(run(runs, *made.landed_dates[1:]))
    assert daily_totals(lake) == {
        name: total for name, total in expected.items() if name[1] != "cloudtrail"
    }


def run(runs: Runs, *landed: date) -> tuple[int, str]:
    """What `make run` does with landed dates: its code, and what it said."""
    done = runs.run(landed=[str(one) for one in landed])
    return done["code"], done["said"]


def expect_success(ended: tuple[int, str]) -> None:
    assert ended[0] == 0, ended[1]


def expect_idle(runs: Runs, lake, day: date) -> None:
    before, builds = lake.release(), built(runs)
    expect_success(run(runs, day))
    newest = "run_id = (SELECT run_id FROM dag_run ORDER BY id DESC LIMIT 1)"
    ran = f"SELECT task_id FROM task_instance WHERE state <> 'skipped' AND {newest}"
    assert {name for (name,) in runs.asked(ran)} == IDLE
    assert (lake.release(), built(runs)) == (before, builds)


def built(runs: Runs) -> list[str]:
    """Usage dates in the order they were built."""
    keys = "SELECT partition_key FROM dag_run WHERE dag_id = 'usage_build' ORDER BY id"
    return [day for (day,) in runs.asked(keys)]


def files(lake) -> dict[str, str]:
    """Published objects with their hash, as the store has them; not the pages for people, which say when they
    were made, or of which release."""
    return {
        one: lake.client.head_object(Bucket="lake", Key=f"{lake.name}/{one}")["ETag"]
        for one in lake.keys("")
        if not one.startswith(("_work/", "_docs/", "_statement/"))
    }


def changed(before, after) -> dict[str, set[str]]:
    """Streams with the usage dates whose daily totals or events differ between two releases."""
    found: dict[str, set[str]] = {}
    for table in ("usage_event", "usage_daily"):
        old, new = before.body["tables"][table], after.body["tables"][table]
        for name in old.keys() | new.keys():
            if old.get(name) != new.get(name):
                parts = dict(part.split("=", 1) for part in name.split("/"))
                found.setdefault(parts["stream"], set()).add(f"usage_date={parts['usage_date']}")
    return found


def restated(lake) -> list[tuple]:
    found = lake.rows(
        "SELECT meter, sum(new_quantity - old_quantity)::BIGINT AS difference FROM restatement "
        "GROUP BY meter HAVING difference <> 0"
    )
    return [(row["meter"], row["difference"]) for row in found]


def expect_small_xcoms(runs: Runs, tenants: set[str]) -> None:
    values = [str(value) for (value,) in runs.asked("SELECT value FROM xcom")]
    assert values
    for value in values:
        assert len(value) < XCOM_BYTES
        assert not RAW_ID.search(value)
        assert not any(tenant in value for tenant in tenants)
        assert ".json.gz" not in value, "object keys belong into the manifest"
