"""The stack as an operator has it: up, log in, backfill by the REST API, backfill again, down."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psutil
import pytest

from deploy.embedded import server
from deploy.embedded.environment import ROOT, keep_secrets
from sample import generate
from sample.land import land

pytestmark = pytest.mark.airflow

FIRST_DAY = date(2025, 6, 10)  # beyond the look-back of the run that the schedule starts
RUN_SECONDS = 300
DAGS = {"usage_ingest", "usage_build", "usage_replay", "lake_sweep"}
ENDED = {"success", "failed"}


@dataclass
class Stack:
    """A stack with a run folder of its own, spoken to by command and by HTTP."""

    folder: Path
    token: str = ""

    def command(self, *arguments: str) -> str:
        env = os.environ | {
            "USAGE_EXPORT_RUN_FOLDER": str(self.folder),
            "USAGE_EXPORT_CONTRACTS": str(self.folder / "contracts"),
        }
        command = [sys.executable, "-m", "deploy.embedded", *arguments]
        done = subprocess.run(
            command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def call(self, path: str, body: dict | None = None) -> dict:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        data = json.dumps(body).encode() if body is not None else None
        port = json.loads((self.folder / "up.json").read_text())["port"]
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def log_in(self, user: str, password: str) -> None:
        self.token = self.call("/auth/token", {"username": user, "password": password})[
            "access_token"
        ]

    def runs(self, dag_id: str) -> dict[str, tuple[str, str]]:
        """Partition key and state of each finished or unfinished run, by its id."""
        found = self.call(f"/api/v2/dags/{dag_id}/dagRuns?limit=100")["dag_runs"]
        return {one["dag_run_id"]: (one["partition_key"], one["state"]) for one in found}

    def release(self) -> dict:
        kept = keep_secrets(self.folder)
        store = server.running_store(self.folder, kept)
        assert store
        body = store.client().get_object(Bucket="lake", Key="_release/current.json")["Body"]
        return json.loads(body.read())

    def processes(self) -> list[psutil.Process]:
        """Whatever was started for this run folder, by what the operating system knows of it."""
        return [one for one in psutil.process_iter() if self._mine(one)]

    def _mine(self, one: psutil.Process) -> bool:
        try:
            said = [*one.cmdline(), *one.environ().values(), *(f.path for f in one.open_files())]
        except psutil.Error:
            return False
        return one.pid != os.getpid() and any(str(self.folder) in text for text in said)


@pytest.fixture
def stack(tmp_path) -> Iterator[Stack]:
    shutil.copytree(ROOT / "contracts" / "app_usage", tmp_path / "contracts" / "app_usage")
    made = Stack(tmp_path)
    try:
        yield made
    finally:
        made.command("down")


def test_up_backfill_twice_and_down(stack):
    # given a stack, and a sample day in its landing bucket
    said = stack.command("up")
    made = generate(2, FIRST_DAY, 1)
    store = server.running_store(stack.folder, keep_secrets(stack.folder))
    assert store
    land(made, "landing", "", store.client())

    # when people log in, then they may do what their role allows, from this machine only
    expect_only_loopback(stack)
    expect_read_only(stack, *re.findall(r"(analyst), password (\S+)\)", said)[0])
    stack.log_in(*re.findall(r"(operator), password (\S+)", said)[0])
    dags = {one["dag_id"]: one["is_paused"] for one in stack.call("/api/v2/dags")["dags"]}
    assert dags == dict.fromkeys(DAGS, False)

    # when the landed dates are backfilled, then every date is ingested and built, all green
    days = [str(day) for day in made.landed_dates]
    backfill(stack, days, "none")
    expect_green(stack, days, times=1)
    first = stack.release()
    assert first["pending"] == {}
    assert "Requests" in stack.command("sql", "SELECT DISTINCT unit FROM usage_daily")

    # when all of it is run again, then the release stays the same
    backfill(stack, days, "completed")
    expect_green(stack, days, times=2)
    assert stack.release() == first

    # when the stack goes down, then no process is left, and the data can still be read
    assert stack.processes()
    assert stack.command("down") == "stopped\n"
    assert stack.processes() == []
    assert "Requests" in stack.command("sql", "SELECT DISTINCT unit FROM usage_daily")
    assert stack.processes() == []
    assert stack.command("down") == "not running\n"


def expect_read_only(stack: Stack, user: str, password: str) -> None:
    stack.log_in(user, password)
    assert stack.call("/api/v2/dags")["total_entries"] == len(DAGS)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        backfill(stack, [str(FIRST_DAY)], "none")


def backfill(stack: Stack, days: list[str], reprocess: str) -> None:
    """Start a backfill of usage_ingest and wait for it, and for the builds that it announces."""
    body = {
        "dag_id": "usage_ingest",
        "from_date": f"{days[0]}T00:00:00Z",
        "to_date": f"{days[-1]}T00:00:00Z",
        "reprocess_behavior": reprocess,
        "max_active_runs": 2,
    }
    before = stack.runs("usage_build")
    started = stack.call("/api/v2/backfills", body)
    wait(lambda: stack.call(f"/api/v2/backfills/{started['id']}")["completed_at"])
    wait(
        lambda: (
            {day for run, (day, _) in stack.runs("usage_build").items() if run not in before}
            >= {*days}
        )
    )
    wait(lambda: {state for _, state in stack.runs("usage_build").values()} <= ENDED)


def wait(done) -> None:
    deadline = time.monotonic() + RUN_SECONDS
    while not done():
        assert time.monotonic() < deadline, "the runs do not end"
        time.sleep(0.5)


def expect_green(stack: Stack, days: list[str], times: int) -> None:
    ingested, built = (
        [run for run in stack.runs(dag_id).values() if run[0] in days]
        for dag_id in ("usage_ingest", "usage_build")
    )
    assert sorted(ingested) == sorted((day, "success") for day in days * times)
    assert set(built) == {(day, "success") for day in days}


def expect_only_loopback(stack: Stack) -> None:
    listening = {
        one.laddr
        for process in stack.processes()
        for one in process.net_connections("inet")
        if one.status == psutil.CONN_LISTEN
    }
    assert listening
    assert {address.ip for address in listening} == {"127.0.0.1"}
