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

from deploy.embedded import process, server
from deploy.embedded.environment import ROOT, environment, keep_secrets
from deploy.embedded.process import Session
from sample.land import land
from tests import fault_proxy, test_stack
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


@pytest.fixture
def stack(lake, object_store, tmp_path) -> Iterator[Stack]:
    contracts = tmp_path / "contracts"
    shutil.copytree(ROOT / "contracts" / STREAM, contracts / STREAM)
    env = environment(tmp_path, keep_secrets(tmp_path), object_store) | lake.settings
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
    assert f"app_usage: not read (batch_failed): {BAD}: batch 1: Denied: get s3://landing/" in said
    assert said.index("announce: success") < said.index("every_object_read: failed")
    assert totals(lake) == [(DAY, 1)]
    assert lake.rows("SELECT raw_object_key AS key FROM unread") == [{"key": BAD}]

    # when it can be read, then the next run reads it
    lake.run(STREAM, NEXT)
    assert (totals(lake), lake.rows("FROM unread")) == ([(DAY, 3), (NEXT, 4)], [])


def test_killed_twice_and_out_of_time_once_is_a_run_that_nobody_disturbed(
    stack, lake, object_store, monkeypatch
):
    monkeypatch.setattr(fault_proxy, "STALL_SECONDS", 30)
    # given a run that is killed as it reads, and one that is killed when its release is there
    stack.run_and_kill(Fault("stall", READ_BAD), DAY)
    stack.run_and_kill(Fault("held_answer", r"PUT /lake/.*/_release/0000000001\.json"), DAY)
    assert lake.keys("_release/") == ["_release/0000000001.json"]

    # when it is run again, and a task runs out of time once
    late = Fault("stall", READ_BAD)
    stack.proxy.faults = [late]
    code, said = stack.run(DAY, timeout_seconds=8)

    # then that task was tried again, no release was made twice, and nothing tells the lakes apart
    assert (code, late.hurt) == (0, 1), said
    assert "Timeout" in said
    found, number = published(lake), lake.release().number
    other = undisturbed(lake, object_store, monkeypatch)
    assert (found, number) == (published(other), other.release().number)
    assert data(lake) == data(other)


def data(lake: Lake) -> dict[str, str]:
    return {name: etag for name, etag in bytes_of(lake).items() if not name.startswith("_")}


@pytest.mark.soak
def test_the_whole_stack_is_killed_in_the_middle_of_a_run_and_started_again(
    operated: test_stack.Stack, monkeypatch
):
    """Scheduler, workers and API server at once: the scheduler that comes after them goes on with their runs."""
    monkeypatch.setattr(test_stack, "RUN_SECONDS", 1800)  # a task that died is missed after minutes
    store = server.running_store(operated.folder, keep_secrets(operated.folder))
    assert store
    land(test_stack.SAMPLE, "landing", "", store.client())
    days = test_stack.LANDED

    # given a backfill of which a task is at work, when all of Airflow is killed and started again
    operated.call("/api/v2/backfills", test_stack.asked("none", *days))
    test_stack.wait(lambda: at_work(operated))
    running = json.loads((operated.folder / "up.json").read_text())
    process.end([Session(**one) for one in running["airflow"]])
    operated.command("up")
    operated.log_in("operator")

    # then every date is ingested and built
    test_stack.wait_until_built(operated, days, {})
    test_stack.expect_green(operated, days)
    first = operated.release()

    # and reading all of it again in peace changes nothing
    before = operated.runs("usage_build")
    operated.call("/api/v2/backfills", test_stack.asked("completed", *days))
    test_stack.wait_until_built(operated, days, before)
    assert operated.release() == first


@pytest.fixture
def operated(tmp_path) -> Iterator[test_stack.Stack]:
    shutil.copytree(ROOT / "contracts" / STREAM, tmp_path / "contracts" / STREAM)
    made = test_stack.Stack(tmp_path)
    try:
        made.users["operator"] = keep_secrets(tmp_path).operator
        made.command("up")
        made.log_in("operator")
        yield made
    finally:
        made.command("down")


def at_work(stack: test_stack.Stack) -> bool:
    found = stack.call("/api/v2/dags/usage_ingest/dagRuns/~/taskInstances?state=running&limit=100")
    return any(one["task_id"].endswith(".collect") for one in found["task_instances"])
