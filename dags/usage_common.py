"""What the DAG files share: assets, the partition they work on, and when a retry can help."""

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from airflow.sdk import (
    Asset,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    TriggerRule,
    get_current_context,
    task,
)
from airflow.sdk.exceptions import AirflowFailException

from etl.layout import CONTRACTS, stream_names

DAY_FORMAT = "%Y-%m-%d"
ENGINE_POOL = "usage_engine"  # one slot a process that may use USAGE_EXPORT_MEMORY
ARRIVAL = Asset(name="usage_arrival", uri="s3://lake/usage_arrival")
DAILY = Asset(name="usage_daily", uri="s3://lake/usage_daily")
CHARGE = Asset(name="charge", uri="s3://lake/charge")

RETRY_WHERE_IT_HELPS = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            [
                "etl.errors.Retryable",
                "etl.errors.StaleInput",  # as `publish` then runs its whole lane again
                ConnectionError,
                TimeoutError,
            ],
            action=RetryAction.RETRY,
            reason="the same task may succeed in a minute",
        ),
        RetryRule(
            "etl.errors.UsageError",
            action=RetryAction.FAIL,
            reason="trying again cannot help: see what the error asks for",
        ),
    ]
)

DAG_DEFAULTS = {
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
    "dagrun_timeout": timedelta(hours=6),
    "default_args": {
        "owner": "metering",
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=10),
        "retry_policy": RETRY_WHERE_IT_HELPS,
        "execution_timeout": timedelta(hours=2),
    },
}


def contract_streams() -> list[str]:
    """Streams of the contracts in use, by folder name: one lane each."""
    return stream_names(_contracts())


def billing_streams() -> list[str]:
    """The same for the contracts of bills; none where there is no folder of them."""
    folder = _contracts() / "billing"
    return stream_names(folder) if folder.is_dir() else []


def _contracts() -> Path:
    folder = os.environ.get("USAGE_EXPORT_CONTRACTS")
    return Path(folder) if folder else CONTRACTS


def partition_day() -> date:
    """The day that this run owns."""
    key = get_current_context().get("partition_key")
    if not key:
        raise AirflowFailException(
            "This DAG works on one day: set Partition Key (YYYY-MM-DD) under Advanced Options."
        )
    return date.fromisoformat(key)


def work_area() -> str:
    """Name of what the tasks of this run hand to each other; the same for every retry."""
    context = get_current_context()
    return f"{context['dag'].dag_id}.{context['run_id']}"


def label(text: str) -> None:
    """What the grid shows in place of the map index."""
    get_current_context()["label"] = text


@task(pool=ENGINE_POOL, trigger_rule=TriggerRule.ALL_DONE)
def statement(published: list[dict | None] | None = None) -> dict:
    """The page of this run's day, also where a lane failed: the others have published. First the pages of
    earlier days into which something came late."""
    from etl.statement import pages

    late = {day for one in published or () if one for day in one["landed_dates"]} - {
        str(partition_day())
    }
    for day in sorted(late):
        pages.write_statement(date.fromisoformat(day))
    return pages.write_statement(partition_day())


@task(trigger_rule=TriggerRule.NONE_FAILED)  # a lane that had nothing to do was skipped
def every_lane_published(published: list) -> int:
    """Fails the run where a lane failed, although the others were announced."""
    return sum(one is not None for one in published)
