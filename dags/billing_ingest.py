"""# billing_ingest

Reads what providers billed, one lane a contract: **deliver → load (mapped over the new deliveries) → settle →
validate → publish**; then announces each month that was published as `provider/YYYY-MM` of the asset `charge`.

* **Schedule**: every four hours. Where nothing new came the lane ends after `deliver`, and nothing changes.
* **Months**: the newest complete delivery of a month replaces it whole, also once the month is closed.
* **Backfill**: *Trigger* with a month, not with dates, loads its newest delivery again: to the same release.
* **If a task fails**: its message says what to do; other lanes go on. Deliveries: `usage-export billing deliveries`.
* **Alarm**: the last task fails where a month was refused, a delivery stays incomplete, or none comes for long.
"""

from airflow.sdk import Param, TriggerRule, dag, task, task_group
from airflow.sdk.exceptions import AirflowSkipException
from usage_common import (
    CHARGE,
    DAG_DEFAULTS,
    ENGINE_POOL,
    billing_streams,
    every_lane_published,
    label,
    work_area,
)

TEXT = {"type": ["null", "string"]}
MONTH = Param(None, pattern=r"^\d{4}-(0[1-9]|1[0-2])$", title="Load YYYY-MM again", **TEXT)
ONLY = Param(None, enum=[None, *billing_streams()], title="Contract (null: every)", **TEXT)


@dag(
    schedule="10 */4 * * *",
    max_active_runs=1,
    allowed_run_types=["scheduled", "manual", "operator_triggered", "asset_materialization"],
    tags=["billing", "ingest"],
    doc_md=__doc__,
    params={"billing_period": MONTH, "stream": ONLY},
    **DAG_DEFAULTS,
)
def billing_ingest():
    published = [lane(stream) for stream in billing_streams()]
    announce(published)
    every_lane_published(published)
    published >> alarm()


def lane(stream: str):
    @task_group(group_id=stream)
    def one_contract():
        planned, published = deliver(stream), publish(stream)
        read = load.partial(stream=stream).expand(numbers=planned)
        [planned, read] >> settle(stream) >> validate(stream) >> published
        return published

    return one_contract()


@task(pool=ENGINE_POOL)
def deliver(stream: str, *, params=None) -> list[list[int]]:
    """Numbers of the deliveries to load, in as many lists as tasks."""
    from etl.billing import stages

    if params["stream"] not in (None, stream):
        raise AirflowSkipException("another contract was asked for")
    found = stages.deliver(stream, work_area(), params["billing_period"])
    if not found["loads"] and not found["set_aside"]:
        raise AirflowSkipException("nothing new")
    return found["batches"]


@task(map_index_template="{{ label }}", pool=ENGINE_POOL)
def load(stream: str, numbers: list[int]) -> int:
    from etl.billing import stages

    label(f"{stream}, {len(numbers)} from number {numbers[0]}")
    return sum(stages.load(stream, work_area(), one)["rows"] or 0 for one in numbers)


# also without a delivery to load: what became of the others is written down
@task(pool=ENGINE_POOL, trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def settle(stream: str) -> dict:
    from etl.billing import stages

    return stages.settle(stream, work_area())["sums"]


@task(pool=ENGINE_POOL)
def validate(stream: str) -> int:
    from etl.billing import stages

    return stages.validate(stream, work_area())["validated"]


@task(pool=ENGINE_POOL)
def publish(stream: str, *, params=None) -> list[str]:
    from etl import errors
    from etl.billing import stages

    try:
        return stages.publish(stream, work_area())["months"]
    except errors.StaleInput:  # another run was faster: trying again from here would find the same
        return stages.ingest(stream, work_area(), params["billing_period"])["months"]


@task(outlets=[CHARGE], trigger_rule=TriggerRule.ALL_DONE)  # a failed lane holds back no other
def announce(published: list[list[str] | None], *, outlet_events=None) -> list[str]:
    months = sorted({month for one in published for month in one or ()})
    if not months:
        raise AirflowSkipException("no month was published")
    outlet_events[CHARGE].add_partitions(months)
    return months


@task(pool=ENGINE_POOL, trigger_rule=TriggerRule.ALL_DONE)
def alarm() -> None:
    from etl.billing import stages

    stages.alarm()


billing_ingest()
