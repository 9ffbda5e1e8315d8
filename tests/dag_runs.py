"""Runs of the DAGs by the real task runner, in a process that stays for the next one: it takes seconds to start.

`python -m tests.dag_runs DAG` reads a form (JSON) a line and answers each with a line `RUN {…}`: the state of the run,
and of each task its states and what it returned. Without a DAG, a line is landed dates for the embedded runner, and
the answer its code. Airflow configures itself at import: hence a process of its own.
"""

import json
import logging
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path

from deploy.embedded.environment import ROOT, environment, keep_secrets
from etl import judge
from tests.conftest import decide


class Runs:
    """The process, and the Airflow database and folder of one test."""

    def __init__(self, dag_id: str | None, lake, object_store, folder: Path, **settings: str):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.dag_runs", *filter(None, [dag_id])],
            env=environment(folder, keep_secrets(folder), object_store) | lake.settings | settings,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> "Runs":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def run(self, **form: object) -> dict:
        """What a run with this form became, and what it said."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(form) + "\n")
        self.process.stdin.flush()
        said: list[str] = []
        for line in self.process.stdout:
            if line.startswith("RUN "):
                return json.loads(line[4:]) | {"said": "\n".join(said)}
            said.append(line.rstrip("\n"))
        raise AssertionError("\n".join(said))

    def asked(self, query: str) -> list[tuple]:
        """A query to the database of this Airflow."""
        place = f"file:{self.folder}/airflow/airflow.db?mode=ro"
        with sqlite3.connect(place, uri=True) as found:
            return found.execute(query).fetchall()


def states(run: dict) -> dict[str, int]:
    every = [state for task in run["tasks"].values() for state in task["states"]]
    return {state: every.count(state) for state in every}


def main(dag_id: str | None = None) -> None:
    act = by_form(dag_id) if dag_id else by_landed_dates
    for line in sys.stdin:
        print("\nRUN " + json.dumps(act(**json.loads(line))), flush=True)


def by_landed_dates(landed: list[str], bills: str = "", prefix: str = "") -> dict:
    """What `make run` does, judged as quick_judge does; with the sample's bills from this day on, landed below the
    prefix."""
    from deploy.embedded import runner, sample_run

    judge.judge = decide
    deliveries = sample_run.deliveries(7, date.fromisoformat(bills), prefix) if bills else ()
    return {"code": runner.main(landed, deliveries)}


def by_form(dag_id: str) -> Callable[..., dict]:
    from unittest.mock import patch

    from deploy.embedded.runner import _dag_bag

    judge.judge = decide
    warnings.simplefilter("ignore")
    dag = _dag_bag().dags[dag_id]
    for task in dag.tasks:
        task.retries = 0  # nothing else runs beside this process: what fails now fails again
    logging.disable(logging.WARNING)

    def run(**form: object) -> dict:
        with patch("airflow.serialization.definitions.dag.SerializedDAG.clear_dags"):
            made = dag.test(logical_date=None, run_conf=form)
        return {"state": str(made.state), "tasks": tasks(made)}

    return run


def tasks(run) -> dict:
    found: dict = {}
    for one in sorted(run.get_task_instances(), key=lambda one: (one.task_id, one.map_index)):
        state = found.setdefault(one.task_id, {"states": [], "returned": []})
        state["states"].append(str(one.state))
        state["returned"].append(
            run.get_task_instance(one.task_id, map_index=one.map_index).xcom_pull(
                task_ids=one.task_id, map_indexes=one.map_index
            )
        )
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
