"""python -m tests.airflow_drill ORDER LANDED_DATE...: the embedded runner with what a drill needs set.

ORDER is JSON: `batch_objects`, objects of a batch; `timeout_seconds`, of each task `normalize`, which is then
retried once, at once. For tests/test_airflow_faults.py.
"""

import json
import sys
from datetime import timedelta

from deploy.embedded import runner
from etl import judge, manifest
from tests.conftest import decide


def main(order: dict, landed_dates: list[str]) -> int:
    judge.judge = decide
    manifest.BATCH_OBJECTS = order.get("batch_objects", manifest.BATCH_OBJECTS)
    if "timeout_seconds" in order:
        from usage_common import DAG_DEFAULTS

        runner.RETRIES = 1
        DAG_DEFAULTS["default_args"]["retry_delay"] = timedelta(0)
        bag_of = runner._dag_bag
        runner._dag_bag = lambda: shortened(bag_of(), timedelta(seconds=order["timeout_seconds"]))
    return runner.main(landed_dates)


def shortened(bag, limit: timedelta):
    for task in bag.dags["usage_ingest"].tasks:
        if task.task_id.endswith(".normalize"):
            task.partial_kwargs["execution_timeout"] = limit
    return bag


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1]), sys.argv[2:]))
