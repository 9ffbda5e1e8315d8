"""# usage_ingest

Reads what landed on one UTC day, one lane a contract: **extract → normalize (mapped over batches of
objects) → collect → validate → publish**; then announces each usage date that the arrivals touched, and
`usage_build` makes those dates.

* **Partition**: the landed date. The run that starts at midnight owns the day before. Objects that came
  late into earlier days of the contract's look-back window are read too.
* **Backfill**: *Trigger → Backfill* with a date range (or `POST /api/v2/backfills`). Where landing has not
  changed, the same bytes come out and the release keeps its number.
* **If a task fails**: its message names the object or table and what to do. The other lanes go on and are
  announced; what failed stays in the backlog (`usage-export status`) for the next run, or for clearing it.
* **Side by side**: where another run published what a lane had read, `publish` runs its lane again.
"""

from airflow.sdk import CronPartitionTimetable, TriggerRule, dag, task, task_group
from airflow.sdk.exceptions import AirflowSkipException
from usage_common import (
    ARRIVAL,
    DAG_DEFAULTS,
    DAY_FORMAT,
    ENGINE_POOL,
    contract_streams,
    label,
    partition_day,
    statement,
    work_area,
)


@dag(
    schedule=CronPartitionTimetable(
        "0 0 * * *", timezone="UTC", run_offset=-1, key_format=DAY_FORMAT
    ),
    max_active_runs=2,
    tags=["usage", "ingest"],
    doc_md=__doc__,
    **DAG_DEFAULTS,
)
def usage_ingest():
    published = [lane(stream) for stream in contract_streams()]
    announce(published)
    every_lane_published(published)
    published >> statement()


def lane(stream: str):
    @task_group(group_id=stream)
    def one_stream():
        read = normalize.partial(stream=stream).expand(batch=extract(stream))
        collected = collect(stream)
        checked = validate(stream)
        published = publish(stream)
        read >> collected >> checked >> published
        return published

    return one_stream()


@task
def extract(stream: str, *, ti=None) -> list[int]:
    """Numbers of the batches to map over; what was found rides beside, in the XCom `found`."""
    from etl import stages

    found = stages.extract(stream, partition_day(), work_area())
    ti.xcom_push("found", found)
    return found["batches"]


@task(map_index_template="{{ label }}", pool=ENGINE_POOL)
def normalize(stream: str, batch: int) -> dict:
    from etl import stages

    label(f"{stream}, batch {batch}")
    return stages.normalize(stream, work_area(), batch)


# no batch: nothing landed, still a day
@task(pool=ENGINE_POOL, trigger_rule=TriggerRule.NONE_FAILED)
def collect(stream: str) -> dict:
    from etl import stages

    return stages.collect(stream, work_area())


@task(pool=ENGINE_POOL)
def validate(stream: str) -> dict:
    from etl import stages

    return stages.validate_arrivals(stream, work_area())


@task(pool=ENGINE_POOL)
def publish(stream: str) -> dict:
    from etl import errors, stages

    try:
        return stages.publish_arrivals(stream, work_area())
    except errors.StaleInput:  # another run was faster: trying again from here would find the same
        return stages.ingest(stream, partition_day(), work_area())


# a failed lane does not hold back the others
@task(outlets=[ARRIVAL], trigger_rule=TriggerRule.ALL_DONE)
def announce(published: list[dict | None], *, outlet_events=None) -> list[str]:
    days = sorted({day for one in published if one for day in one["usage_dates"]})
    if not days:
        raise AirflowSkipException("nothing landed and nothing waits: no usage date to build")
    outlet_events[ARRIVAL].extra = {"usage_dates": len(days), "landed_date": str(partition_day())}
    outlet_events[ARRIVAL].add_partitions(days)
    return days


@task
def every_lane_published(published: list[dict]) -> int:
    """Fails the run where a lane failed, although the others were announced."""
    return len(published)


usage_ingest()
