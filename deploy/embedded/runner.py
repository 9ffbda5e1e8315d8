"""Run partitions of the real DAGs to the end in one process: real task runner, serializer, asset manager.

Only scheduler, executor and HTTP are absent. Started by `python -m deploy.embedded run` in a process of its
own, because Airflow reads its configuration when it is imported.
"""

import logging
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from deploy.embedded.environment import ROOT
from deploy.embedded.prepare import prepare

RETRIES = 0  # nothing else runs beside this process: what fails now fails again


def main(landed_dates: list[str], deliveries: Iterable[date] = ()) -> int:
    """Ingest these landed dates, then build every usage date that they announced, each once; then load the
    bills of each delivery, which lands as its day is asked for.

    As under the scheduler, a run that fails does not hold back the others; then the result is 1.
    """
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    logging.captureWarnings(False)
    bag = _dag_bag()
    days = sorted(map(date.fromisoformat, landed_dates))
    done = [_run(bag, "usage_ingest", str(day)) for day in days]
    for key, announced in sorted(_announced("usage_build").items()):
        done.append(_run(bag, "usage_build", key))
        _mark_run(announced)
    done += [_run(bag, "billing_ingest", None, f"delivered on {day}") for day in deliveries]
    return 0 if all(done) else 1


def _dag_bag():
    from airflow.dag_processing.dagbag import DagBag

    prepare()
    bag = DagBag(str(ROOT / "dags"))
    if bag.import_errors:
        raise RuntimeError(f"DAG files that do not import: {bag.import_errors}")
    return bag


def _run(bag, dag_id: str, key: str | None, what: str = "") -> bool:
    """One run of one partition, or of a DAG that has none; True if it succeeded."""
    dag = bag.dags[dag_id]
    for task in dag.tasks:
        task.retries = RETRIES
    name = f"{dag_id} {key or what}"
    with _Progress(dag_id, name), _new_run(key):
        run = dag.test(logical_date=None)
    return _report(run, name)


@contextmanager
def _new_run(key: str | None) -> Iterator[None]:
    """dag.test() knows no partitions, and wipes the runs before: have it make a run beside them."""
    from unittest.mock import patch

    with (
        patch("airflow.models.dagrun.get_or_create_dagrun", _creator(key)),
        patch("airflow.serialization.definitions.dag.SerializedDAG.clear_dags"),
    ):
        yield


def _creator(key: str | None):
    def create(*, dag, start_date, **arguments):
        from airflow.utils.state import DagRunState
        from airflow.utils.types import DagRunType

        return dag.create_dagrun(
            run_type=DagRunType.MANUAL,
            state=DagRunState.RUNNING,
            start_date=start_date,
            partition_key=key,
            partition_date=dag.timetable.resolve_partition_date(key) if key else None,
            **arguments,
        )

    return create


def _report(run, name: str) -> bool:
    if str(run.state) == "success":
        return True
    failed = sorted(_name(t) for t in run.get_task_instances() if str(t.state) == "failed")
    print(f"{name}: failed in {', '.join(failed)}", file=sys.stderr, flush=True)
    return False


def _announced(dag_id: str) -> dict[str, list[int]]:
    """Partitions that assets have queued for a DAG and no run has taken: key -> ids of the queue entries."""
    from airflow.models.asset import AssetPartitionDagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    found: dict[str, list[int]] = {}
    with create_session() as session:
        waiting = select(AssetPartitionDagRun).where(
            AssetPartitionDagRun.target_dag_id == dag_id,
            AssetPartitionDagRun.created_dag_run_id.is_(None),
        )
        for row in session.scalars(waiting):
            found.setdefault(row.partition_key, []).append(row.id)
    return found


def _mark_run(entries: list[int]) -> None:
    """The queue entries are done: a scheduler that starts later must not run them again."""
    from airflow.models.asset import AssetPartitionDagRun
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import func, select, update

    with create_session() as session:
        run = session.scalar(select(func.max(DagRun.id)).where(DagRun.dag_id == "usage_build"))
        session.execute(
            update(AssetPartitionDagRun)
            .where(AssetPartitionDagRun.id.in_(entries))
            .values(created_dag_run_id=run)
        )


class _Progress:
    """Prints each task of the newest run of a DAG as it ends."""

    def __init__(self, dag_id: str, name: str) -> None:
        self._dag_id, self._name = dag_id, name
        self._seen: set[tuple] = set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Progress":
        self._before = self._newest()
        print(self._name, flush=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._print_ended()

    def _watch(self) -> None:
        while not self._done.wait(0.5):
            self._print_ended()

    def _newest(self) -> int:
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session
        from sqlalchemy import func, select

        with create_session() as session:
            return (
                session.scalar(select(func.max(DagRun.id)).where(DagRun.dag_id == self._dag_id))
                or 0
            )

    def _print_ended(self) -> None:
        from airflow.utils.session import create_session

        with create_session() as session:
            for one in session.scalars(self._ended()):
                if (one.task_id, one.map_index) not in self._seen:
                    self._seen.add((one.task_id, one.map_index))
                    seconds = (one.end_date - (one.start_date or one.end_date)).total_seconds()
                    clock = time.strftime("%H:%M:%S")
                    print(f"  {clock} {_name(one)}: {one.state}, {seconds:.1f} s", flush=True)

    def _ended(self) -> Any:
        from airflow.models.dagrun import DagRun
        from airflow.models.taskinstance import TaskInstance
        from sqlalchemy import select

        its_run = (DagRun.run_id == TaskInstance.run_id) & (DagRun.dag_id == TaskInstance.dag_id)
        return (
            select(TaskInstance)
            .join(DagRun, its_run)
            .where(TaskInstance.dag_id == self._dag_id, DagRun.id > self._before)
            .where(TaskInstance.end_date.is_not(None))
            .where(TaskInstance.state.in_(("success", "failed")))
            .order_by(TaskInstance.end_date)
        )


def _name(task: Any) -> str:
    label = f" [{task.rendered_map_index}]" if task.rendered_map_index else ""
    return f"{task.task_id}{label}"


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
