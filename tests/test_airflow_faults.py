"""Airflow on bad days: a batch that fails, a process killed in the middle, a task that runs out of time."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from deploy.embedded.environment import ROOT, environment, keep_secrets
from tests import fault_proxy
from tests.conftest import Lake
from tests.events import DAY, evening, event, key, lines
from tests.fault_proxy import Fault, Proxy
from tests.test_kill import STREAM, bytes_of, published

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("quick_judge")]

NEXT = DAY + timedelta(days=1)
BAD = key(partition=1)
READ_BAD = r"GET /landing/.*%2B1%2B"
SECONDS = 300


@dataclass
class Stack:
    """The embedded Airflow of one test, and a proxy between its tasks and the object store."""

    env: dict
    proxy: Proxy
    output: Path

    def start(self, *days: date, **order: int) -> subprocess.Popen:
        command = [sys.executable, "-W", "ignore", "-m", "tests.airflow_drill", json.dumps(order)]
        with self.output.open("w") as out:
            return subprocess.Popen(
                [*command, *map(str, days)],
                env=self.env,
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *days: date, **order: int) -> tuple[int, str]:
        started = self.start(*days, **order)
        try:
            return started.wait(SECONDS), self.output.read_text()
        finally:
            kill(started)

    def run_and_kill(self, fault: Fault, *days: date) -> None:
        """SIGKILL while this request is held."""
        self.proxy.faults = [fault]
        started = self.start(*days)
        deadline = time.monotonic() + SECONDS
        while not fault.hurt:
            assert started.poll() is None and time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.05)
        kill(started)
        self.proxy.faults = []


def kill(started: subprocess.Popen) -> None:
    if started.poll() is None:
        os.killpg(started.pid, signal.SIGKILL)
    started.wait()


@pytest.fixture(scope="module")
def database(object_store, tmp_path_factory) -> Path:
    """Airflow's database, made once: that takes longer than a run."""
    folder = tmp_path_factory.mktemp("database")
    env = environment(folder, keep_secrets(folder), object_store)
    command = [sys.executable, "-W", "ignore", "-m", "deploy.embedded.prepare"]
    subprocess.run(command, env=env, cwd=ROOT, check=True)
    return folder / "airflow" / "airflow.db"


@pytest.fixture
def stack(lake, object_store, database, tmp_path) -> Iterator[Stack]:
    contracts = tmp_path / "contracts"
    shutil.copytree(ROOT / "contracts" / STREAM, contracts / STREAM)
    env = environment(tmp_path, keep_secrets(tmp_path), object_store) | lake.settings
    shutil.copyfile(database, tmp_path / "airflow" / "airflow.db")
    with fault_proxy.running(object_store.endpoint) as proxy:
        lake.land(key(), lines(event("a", 1), "{"), evening())
        lake.land(BAD, lines(event("b", 2), event("b", 2)), evening())
        lake.land(key(NEXT), lines(event("c", 4, at=f"{NEXT}T01:00:00Z")), evening(NEXT))
        settings = {"AWS_ENDPOINT_URL_S3": proxy.endpoint, "USAGE_EXPORT_CONTRACTS": str(contracts)}
        yield Stack(env | settings, proxy, tmp_path / "output")


def undisturbed(lake: Lake, object_store, monkeypatch) -> Lake:
    """A lake over the same landing that the stages made one after another, with nothing in between."""
    other = Lake(object_store, f"{lake.name}-undisturbed", monkeypatch)
    other.settings["USAGE_EXPORT_LANDING"] = lake.settings["USAGE_EXPORT_LANDING"]
    monkeypatch.setenv("USAGE_EXPORT_LANDING", lake.settings["USAGE_EXPORT_LANDING"])
    other.run(STREAM, DAY)
    return other


def totals(lake: Lake) -> list[tuple]:
    query = (
        "SELECT usage_date, sum(quantity)::INTEGER AS q FROM usage_daily GROUP BY ALL ORDER BY 1"
    )
    return [tuple(row.values()) for row in lake.rows(query)]


def test_a_batch_that_fails_is_named_at_the_end_and_holds_back_no_other(stack, lake):
    # given a batch an object, of which one fails
    stack.proxy.faults = [Fault("denied", READ_BAD, 1000)]
    code, said = stack.run(DAY, batch_objects=1)

    # then the others are published, announced and built, and then the run fails and names the object
    assert code == 1
    failed = (
        f"usage_ingest {DAY}: failed in app_usage.normalize [app_usage, batch 1], every_object_read"
    )
    assert failed in said
    assert "1 landed objects were not read and stay backlog" in said, said
    assert f"app_usage: {BAD} (batch_failed): batch 1 was not read: see the log of its task" in said
    assert said.index("announce: success") < said.index("every_object_read: failed")
    assert totals(lake) == [(DAY, 1)]
    assert lake.rows("SELECT raw_object_key AS key FROM unread") == [{"key": BAD}]

    # when it can be read, then the next run reads it
    stack.proxy.faults = []
    code, said = stack.run(NEXT, batch_objects=1)
    assert code == 0, said
    assert (totals(lake), lake.rows("FROM unread")) == ([(DAY, 3), (NEXT, 4)], [])


def test_killed_in_the_middle_and_run_again_is_a_run_that_nobody_disturbed(
    stack, lake, object_store, monkeypatch
):
    monkeypatch.setattr(fault_proxy, "STALL_SECONDS", 30)
    # given a run that is killed as it reads, and one that is killed when its release is there
    stack.run_and_kill(Fault("stall", READ_BAD), DAY)
    stack.run_and_kill(Fault("held_answer", r"PUT /lake/.*/_release/0000000001\.json"), DAY)
    assert lake.keys("_release/") == ["_release/0000000001.json"]

    # when it is run again
    code, said = stack.run(DAY)

    # then no release was made twice, and nothing tells the lakes apart
    assert code == 0, said
    found, number = published(lake), lake.release().number
    other = undisturbed(lake, object_store, monkeypatch)
    assert (found, number) == (published(other), other.release().number)
    assert data(lake) == data(other)


def test_a_task_that_runs_out_of_time_is_tried_again_with_the_same_result(
    stack, lake, object_store, monkeypatch
):
    monkeypatch.setattr(fault_proxy, "STALL_SECONDS", 30)
    fault = Fault("stall", READ_BAD)
    stack.proxy.faults = [fault]

    code, said = stack.run(DAY, timeout_seconds=8)

    assert (code, fault.hurt) == (0, 1), said
    assert "Timeout" in said
    found = published(lake)
    assert found == published(undisturbed(lake, object_store, monkeypatch))


def data(lake: Lake) -> dict[str, str]:
    return {name: etag for name, etag in bytes_of(lake).items() if not name.startswith("_")}
