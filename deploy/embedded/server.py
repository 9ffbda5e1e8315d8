"""The stack left running: object store and Airflow with its UI, scheduler, DAG processor and triggerer."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded import objectstore, process
from deploy.embedded.environment import ROOT, Secrets, environment
from deploy.embedded.objectstore import ObjectStore

START_SECONDS = 240
HEALTHY = ("metadatabase", "scheduler", "triggerer", "dag_processor")


@dataclass(frozen=True)
class Running:
    """What `up` left behind: process groups and where they listen."""

    store_pid: int
    store_endpoint: str
    airflow_pid: int
    port: int


def up(folder: Path, kept: Secrets) -> int:
    """Start what is not running, wait until it is healthy, say how to log in."""
    running = _read(folder)
    if running is None:
        running = _start(folder, kept)
    print(f"Airflow: http://127.0.0.1:{running.port}  login operator, password {kept.operator}")
    print(f"         (read only: analyst, password {kept.analyst})")
    print(f"S3:      {running.store_endpoint}  credentials in {folder.name}/secrets.json")
    print("stop it with: make down")
    return 0


def down(folder: Path) -> int:
    """Stop everything that `up` started; nothing is left behind."""
    running = _read(folder)
    if running is None:
        print("not running")
        return 0
    process.kill_group(running.airflow_pid, patience_seconds=20)
    process.kill_group(running.store_pid)
    (folder / "up.json").unlink()
    print("stopped")
    return 0


def running_store(folder: Path, kept: Secrets) -> ObjectStore | None:
    """The object store of `up`, if it runs."""
    running = _read(folder)
    if running is None:
        return None
    return ObjectStore(running.store_endpoint, kept.access_key, kept.secret_key, running.store_pid)


def _start(folder: Path, kept: Secrets) -> Running:
    store = objectstore.start(folder / "store", kept.access_key, kept.secret_key, tied=False)
    (port,) = process.free_ports(1)
    env = environment(folder, kept, store, port)
    airflow = Path(sys.executable).parent / "airflow"
    try:
        print("preparing Airflow", flush=True)
        for command in (
            ["db", "migrate"],
            ["pools", "set", "usage_engine", "2", "processes that use the engine"],
        ):
            subprocess.run(
                [airflow, *command], env=env, cwd=ROOT, check=True, stdout=subprocess.DEVNULL
            )
        print("starting Airflow", flush=True)
        group = process.start(
            [airflow, "standalone"], folder / "airflow" / "standalone.log", env, tied=False
        )
        running = Running(store.pid, store.endpoint, group.pid, port)
        _write(folder, running)
        _wait(running)
    except BaseException:
        if (folder / "up.json").exists():
            down(folder)
        else:
            process.kill_group(store.pid)
        raise
    return running


def _wait(running: Running) -> None:
    """Until every component reports healthy; RuntimeError otherwise."""
    deadline, last = time.monotonic() + START_SECONDS, "no answer"
    while time.monotonic() < deadline:
        try:
            url = f"http://127.0.0.1:{running.port}/api/v2/monitor/health"
            with urllib.request.urlopen(url, timeout=5) as answer:
                health = json.load(answer)
            states = {name: (health.get(name) or {}).get("status") for name in HEALTHY}
            if set(states.values()) == {"healthy"}:
                return
            last = str(states)
        except (urllib.error.URLError, OSError, ValueError) as error:
            last = str(error)
        if not process.alive(running.airflow_pid):
            raise RuntimeError("Airflow ended while it started: see airflow/standalone.log")
        time.sleep(1)
    raise RuntimeError(f"Airflow is not healthy after {START_SECONDS} s: {last}")


def _read(folder: Path) -> Running | None:
    path = folder / "up.json"
    if not path.exists():
        return None
    running = Running(**json.loads(path.read_text()))
    if not (process.alive(running.store_pid) and process.alive(running.airflow_pid)):
        process.kill_group(running.airflow_pid)
        process.kill_group(running.store_pid)
        path.unlink()  # the machine was restarted, or something was killed
        return None
    return running


def _write(folder: Path, running: Running) -> None:
    (folder / "up.json").write_text(json.dumps(running.__dict__))
