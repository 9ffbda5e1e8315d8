"""python -m tests.dag_facts: what Airflow reads in the DAG files, as JSON; for tests/test_dags.py."""

import json
import sys
from unittest.mock import patch

from deploy.embedded.environment import ROOT

HEAVY = {"boto3", "botocore", "duckdb", "great_expectations", "numpy", "pandas", "pyarrow"}


def describe() -> None:
    """Print what Airflow reads in the DAG files."""
    import airflow.sdk  # noqa: F401
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    known = set(sys.modules)
    bag = DagBag(str(ROOT / "dags"))
    found = {
        "heavy": sorted((set(sys.modules) - known) & HEAVY),
        "errors": bag.import_errors,
        "dags": {name: describe_dag(dag) for name, dag in bag.dags.items()},
        "retries": describe_retries(),
        "stale": {
            "usage_ingest": publish_stale(bag, "usage_ingest", "publish_arrivals", "ingest"),
            "usage_build": publish_stale(bag, "usage_build", "publish", "build"),
            "billing_ingest": publish_stale_bill(bag),
            "usage_replay": finish_stale(bag),
        },
        "round_trip": {
            name: round_trip(DagSerialization, dag) for name, dag in sorted(bag.dags.items())
        },
    }
    print(json.dumps(found))


def describe_dag(dag) -> dict:
    return {
        "doc_md": dag.doc_md.strip(),
        "tags": sorted(dag.tags),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "by_hand": dag.schedule is None,
        "run_types": dag.allowed_run_types and sorted(dag.allowed_run_types),
        "form": {name: dag.params.get_param(name).schema for name in dag.params},
        "dagrun_timeout": dag.dagrun_timeout.total_seconds(),
        "tasks": {task.task_id: describe_task(task) for task in dag.tasks},
    }


def describe_task(task) -> dict:
    return {
        "owner": task.owner,
        "pool": task.pool,
        "retries": task.retries,
        "backoff": task.retry_exponential_backoff,
        "execution_timeout": task.execution_timeout.total_seconds(),
        "upstream": sorted(task.upstream_task_ids),
        "trigger_rule": str(getattr(task.trigger_rule, "value", task.trigger_rule)),
        "outlets": [one.name for one in task.outlets],
        "mapped": bool(task.is_mapped or task.get_closest_mapped_task_group()),
        "map_index_template": task.map_index_template,
    }


def describe_retries() -> dict:
    from usage_common import DAG_DEFAULTS

    from etl import errors

    policy = DAG_DEFAULTS["default_args"]["retry_policy"]
    kinds = (
        errors.Retryable,
        errors.StaleInput,
        errors.StoreUnavailable,
        ConnectionError,
        TimeoutError,
        errors.SettingError,
        errors.ContractError,
        errors.SourceError,
        errors.QualityError,
        errors.OutOfBalance,
        ValueError,
    )
    return {
        f"{kind.__module__}.{kind.__name__}": policy.evaluate(kind("x"), 1, 3).action.value
        for kind in kinds
    }


def publish_stale(bag, dag_id: str, stage: str, whole: str) -> str:
    """What a publish task returns where another run published first."""
    from etl import errors, stages

    (task, *_) = (one for one in bag.dags[dag_id].tasks if one.task_id.endswith(".publish"))
    around = {"partition_day": lambda: None, "work_area": lambda: "run", "label": lambda _: None}
    with (
        patch.dict(task.python_callable.__globals__, around),
        patch.object(stages, stage, side_effect=errors.StaleInput("another run was faster")),
        patch.object(stages, whole, return_value="ran again"),
    ):
        return task.python_callable("app_usage")


def publish_stale_bill(bag) -> list[str]:
    from etl import errors
    from etl.billing import stages as billing

    task = bag.dags["billing_ingest"].task_dict["aws_focus.publish"]
    stale = errors.StaleInput("another run was faster")
    with (
        patch.dict(task.python_callable.__globals__, {"work_area": lambda: "run"}),
        patch.object(billing, "publish", side_effect=stale),
        patch.object(billing, "ingest", lambda *asked: {"months": [*asked]}),
    ):
        return task.python_callable("aws_focus", params={"billing_period": "2026-10"})


def finish_stale(bag) -> str:
    """How a replay ends whose stream was published meanwhile: its last step alone cannot mend that."""
    from airflow.sdk.exceptions import AirflowFailException

    from etl import errors
    from etl.replay import replay

    task = bag.dags["usage_replay"].task_dict["finish"]
    stale = errors.StaleInput("another run was faster")
    with (
        patch.dict(task.python_callable.__globals__, {"work_area": lambda: "run"}),
        patch.object(replay, "finish", side_effect=stale),
    ):
        try:
            task.python_callable(params={"stream": "app_usage"})
        except AirflowFailException as error:
            return f"failed: {error}"
    return "went on"


def round_trip(serialization, dag) -> bool:
    """Whether the scheduler's copy of a DAG says the same once it was stored and read again."""
    again = serialization.from_dict(json.loads(json.dumps(serialization.to_dict(dag))))
    kept = ("doc_md", "tags", "max_active_runs", "catchup", "dagrun_timeout")
    forms = [
        {name: one.params.get_param(name).schema for name in one.params} for one in (again, dag)
    ]
    return (
        {task.task_id: task.downstream_task_ids for task in again.tasks}
        == {task.task_id: task.downstream_task_ids for task in dag.tasks}
        and forms[0] == forms[1]
        and all(getattr(again, name) == getattr(dag, name) for name in kept)
        and all(one.pool == dag.task_dict[one.task_id].pool for one in again.tasks)
    )


if __name__ == "__main__":
    describe()
