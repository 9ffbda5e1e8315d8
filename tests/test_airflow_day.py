"""Whole days through a real object store and the real DAGs, run by Airflow in a process of its own."""

import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pytest

from deploy.embedded.environment import ROOT, environment, keep_secrets
from sample import generate
from sample.land import land
from tests.events import DAY, evening, event, key, lines
from tests.test_whole_day import daily_totals, expected_totals

pytestmark = pytest.mark.airflow

XCOM_BYTES = 2048
RAW_ID = re.compile("[0-9a-f]{32}")
LATE_DAY = DAY + timedelta(days=3)


@dataclass
class Stack:
    """The embedded Airflow of one test: its own database and folder, the lake of the test."""

    folder: Path
    env: dict
    output: str = field(default="", init=False)

    def run(self, *landed: date) -> int:
        command = [sys.executable, "-W", "ignore", "-m", "deploy.embedded.runner"]
        done = subprocess.run(
            [*command, *map(str, landed)],
            env=self.env,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
        )
        self.output = done.stdout
        return done.returncode

    def rows(self, query: str) -> list[tuple]:
        with sqlite3.connect(f"file:{self.folder}/airflow/airflow.db?mode=ro", uri=True) as found:
            return found.execute(query).fetchall()

    def built(self) -> list[str]:
        """Usage dates in the order they were built."""
        return [
            day
            for (day,) in self.rows(
                "SELECT partition_key FROM dag_run WHERE dag_id = 'usage_build' ORDER BY id"
            )
        ]


@pytest.fixture
def stack(lake, object_store, tmp_path) -> Iterator[Stack]:
    env = environment(tmp_path, keep_secrets(tmp_path), object_store)
    yield Stack(tmp_path, env | lake.settings)


def test_days_come_out_exactly_and_again_and_a_late_file_rebuilds_its_date(stack, lake):
    # given one sample day, and what lands of it on the day after
    made = generate(7, DAY, 1)
    land(made, "landing", f"{lake.name}/", lake.client)

    # when it runs, then the totals are those of the generator
    assert stack.run(*made.landed_dates) == 0, stack.output
    assert daily_totals(lake) == expected_totals(made.truth)
    assert lake.release().pending == {}
    first, objects, days = lake.release(), files(lake), stack.built()
    assert days == [str(one) for one in made.landed_dates]

    # when a day runs again, then nothing changes: same release, same objects, byte for byte
    assert stack.run(DAY) == 0, stack.output
    assert lake.release() == first
    assert files(lake) == objects
    assert stack.built() == days + days[:1]

    # when an event of the first day lands three days late, then only its date is built
    late = lines(event("three-days-late", at="2026-11-18T10:00:00Z"))
    lake.land(key(LATE_DAY, offset=900_000), late, evening(LATE_DAY))
    assert stack.run(LATE_DAY) == 0, stack.output
    assert stack.built() == [*days, days[0], str(DAY)]
    assert changed(first, lake.release()) == {"app_usage": {f"usage_date={DAY}"}}
    assert restated(lake) == [("api_calls", 1)]

    # and the runs of before are still there to look at, with small XComs of tallies
    assert {state for (state,) in stack.rows("SELECT state FROM dag_run")} == {"success"}
    states = "SELECT DISTINCT state FROM task_instance"
    assert {state for (state,) in stack.rows(states)} == {"success", "skipped"}
    tenants = {one["tenant_id"] for one in made.truth["daily_totals"]} - {"UNATTRIBUTED"}
    expect_small_xcoms(stack, tenants)

    # and the pages for people followed, also that of a day on which only a late object landed
    pages = {one.removeprefix("_statement/") for one in lake.keys("_statement/")}
    assert pages == {f"{name}.html" for name in ("index", LATE_DAY, *days)}


def test_a_lane_that_fails_names_itself_and_holds_back_no_other(stack, lake, tmp_path):
    # given two contracts, of which one no longer fits the library
    contracts = shutil.copytree(
        ROOT / "contracts", tmp_path / "contracts", ignore=shutil.ignore_patterns("cloudtrail")
    )
    (broken,) = (contracts / "s3_access").glob("*.yaml")
    sound = broken.read_text()
    broken.write_text(sound.replace("format: text_lines", "format: papyrus"))
    stack.env["USAGE_EXPORT_CONTRACTS"] = str(contracts)
    made = generate(5, DAY, 1)
    land(made, "landing", f"{lake.name}/", lake.client)
    expected = expected_totals(made.truth)

    # when the first landed date runs
    code = stack.run(DAY)

    # then the run fails, names the lane and the file to mend
    assert code == 1
    assert f"usage_ingest {DAY}: failed in s3_access.collect, s3_access.extract" in stack.output
    assert broken.name in stack.output and "papyrus" in stack.output
    # and the other stream is published, announced and built
    assert {stream for _, stream, *_ in daily_totals(lake)} == {"app_usage"}
    assert str(DAY) in stack.built()
    assert lake.release().pending == {}

    # when the contract is mended, then the next run reads what was left
    broken.write_text(sound)
    assert stack.run(*made.landed_dates[1:]) == 0, stack.output
    assert daily_totals(lake) == {
        name: total for name, total in expected.items() if name[1] != "cloudtrail"
    }


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


def expect_small_xcoms(stack: Stack, tenants: set[str]) -> None:
    values = [str(value) for (value,) in stack.rows("SELECT value FROM xcom")]
    assert values
    for value in values:
        assert len(value) < XCOM_BYTES
        assert not RAW_ID.search(value)
        assert not any(tenant in value for tenant in tenants)
        assert ".json.gz" not in value, "object keys belong into the manifest"
