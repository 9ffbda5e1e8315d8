"""python -m tests.replay_runs FORM…: one run of usage_replay for each form (JSON), by the real task runner.

Prints for each run its state, and of each task its state and what it returned; for tests/test_airflow_replay.py.
"""

import json
import logging
import sys
import warnings


def main(forms: list[str]) -> None:
    from unittest.mock import patch

    from deploy.embedded.runner import _dag_bag

    warnings.simplefilter("ignore")
    dag = _dag_bag().dags["usage_replay"]
    for task in dag.tasks:
        task.retries = 0  # nothing else runs beside this process: what fails now fails again
    logging.disable(logging.WARNING)
    for form in forms:
        with patch("airflow.serialization.definitions.dag.SerializedDAG.clear_dags"):
            run = dag.test(logical_date=None, run_conf=json.loads(form))
        print("\nRUN " + json.dumps({"state": str(run.state), "tasks": tasks(run)}), flush=True)


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
    main(sys.argv[1:])
