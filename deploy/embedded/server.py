"""The stack left running: object store and Airflow with its UI, scheduler, DAG processor and triggerer."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.embedded import objectstore, process
from deploy.embedded.environment import ROOT, Secrets, environment
from deploy.embedded.objectstore import ObjectStore
from deploy.embedded.process import Session

START_SECONDS, STOP_SECONDS = 240, 20
HEALTHY = ("metadatabase", "scheduler", "triggerer", "dag_processor")
# the log servers would listen on all interfaces; the UI reads the log files of this machine itself
COMPONENTS = {
    "api-server": ["api-server"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
    "scheduler": ["scheduler", "--skip-serve-logs"],  # last: its tasks need the api-server
}
# what a task prints is for people, as the list of a replay
TASK_LOGS = {"AIRFLOW__LOGGING__NAMESPACE_LEVELS": "task=INFO"}
PLUGINS = {"AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "deploy" / "airflow" / "plugins")}


@dataclass(frozen=True)
class Running:
    """What `up` left behind: the sessions of its processes, and where they listen."""

    store: Session
    endpoint: str
    airflow: tuple[Session, ...]
    port: int

    def whole(self) -> bool:
        return all(one.leads() for one in (self.store, *self.airflow))


def up(folder: Path, kept: Secrets) -> int:
    """Start what is not running, wait until it is healthy, say how to log in."""
    running = _read(folder)
    if running is None:
        running = _start(folder, kept)
    print(f"Airflow: http://127.0.0.1:{running.port}  login operator, password {kept.operator}")
    print(f"         (read only: analyst, password {kept.analyst})")
    print(f"S3:      {running.endpoint}  credentials in {folder.name}/secrets.json")
    print("stop it with: make down")
    return 0


def down(folder: Path) -> int:
    """Stop everything that `up` started; nothing is left behind."""
    running = _read(folder)
    if running is None:
        print("not running")
        return 0
    _stop(folder, running, STOP_SECONDS)
    print("stopped")
    return 0


def is_up(folder: Path) -> bool:
    return _read(folder) is not None


def running_store(folder: Path, kept: Secrets) -> ObjectStore | None:
    """The object store of `up`, if it runs."""
    running = _read(folder)
    if running is None:
        return None
    return ObjectStore(running.endpoint, kept.access_key, kept.secret_key, running.store)


def _start(folder: Path, kept: Secrets) -> Running:
    store = objectstore.start(folder / "store", kept.access_key, kept.secret_key, tied=False)
    (port,) = process.free_ports(1)
    running = Running(store.session, store.endpoint, (), port)
    try:
        _write(folder, running)
        env = environment(folder, kept, store, port) | TASK_LOGS
        prepare = [sys.executable, "-W", "ignore", "-m", "deploy.embedded.prepare"]
        subprocess.run(prepare, env=env, cwd=ROOT, check=True)
        print("airflow: starting scheduler, triggerer, DAG processor and UI", flush=True)
        for name, command in COMPONENTS.items():
            if name == "scheduler":
                _wait(running, HEALTHY[:1])
            log = folder / "airflow" / f"{name}.log"
            own = env | (PLUGINS if name == "api-server" else {})
            started = process.start([_program(), *command], log, own, tied=False)
            airflow = (*running.airflow, process.session(started))
            running = Running(store.session, store.endpoint, airflow, port)
            _write(folder, running)
        _wait(running, HEALTHY)
    except BaseException:
        _stop(folder, running, patience_seconds=0)
        raise
    return running


def _program() -> Path:
    return Path(sys.executable).parent / "airflow"


def _wait(running: Running, components: tuple[str, ...]) -> None:
    """Until the API answers that these components are healthy; RuntimeError otherwise."""
    deadline, last = time.monotonic() + START_SECONDS, "no answer"
    while time.monotonic() < deadline:
        try:
            url = f"http://127.0.0.1:{running.port}/api/v2/monitor/health"
            with urllib.request.urlopen(url, timeout=5) as answer:
                health = json.load(answer)
            states = {name: (health.get(name) or {}).get("status") for name in components}
            if set(states.values()) == {"healthy"}:
                return
            last = str(states)
        except (urllib.error.URLError, OSError, ValueError) as error:
            last = str(error)
        if not running.whole():
            raise RuntimeError("a part of Airflow ended while it started: see airflow/*.log")
        time.sleep(1)
    raise RuntimeError(f"Airflow is not healthy after {START_SECONDS} s: {last}")


def _read(folder: Path) -> Running | None:
    path = folder / "up.json"
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    airflow = tuple(Session(**one) for one in kept["airflow"])
    running = Running(Session(**kept["store"]), kept["endpoint"], airflow, kept["port"])
    if len(airflow) < len(COMPONENTS) or not running.whole():
        _stop(folder, running, patience_seconds=0)  # a start that was cut off, or a part that died
        return None
    return running


def _write(folder: Path, running: Running) -> None:
    (folder / "up.json").write_text(json.dumps(asdict(running)))


def _stop(folder: Path, running: Running, patience_seconds: float) -> None:
    process.end(running.airflow, patience_seconds)
    process.end([running.store])
    (folder / "up.json").unlink(missing_ok=True)
