"""# usage_build

Makes one usage date from its published arrivals, one lane a stream: **deduplicate → aggregate → validate
→ publish**. Starts once for each date that `usage_ingest` announced.

* **Partition**: the usage date. A date is always made whole; a late file rebuilds exactly its date, and a
  total that changes leaves a row in `restatement`.
* **Gate**: `publish` runs only where every expectation of severity critical holds. Otherwise the old
  release stays readable, and the failed task names the rule, the count and the first rows.
* **Statement**: the page of the date follows, under *Browse → Statements* and as `_statement/<date>.html` in
  the lake.
* **Backfill**: backfill `usage_ingest`; it announces its dates again. One date alone: *Trigger → Single
  run* with *Partition Key* set to the date.
"""

from airflow.sdk import PartitionedAssetTimetable, dag, task, task_group
from usage_common import (
    ARRIVAL,
    DAG_DEFAULTS,
    DAILY,
    ENGINE_POOL,
    label,
    partition_day,
    statement,
    work_area,
)


@dag(
    schedule=PartitionedAssetTimetable(assets=ARRIVAL),
    max_active_runs=2,
    tags=["usage", "build"],
    doc_md=__doc__,
    **DAG_DEFAULTS,
)
def usage_build():
    lane.expand(stream=streams()) >> [announce(), statement()]


@task
def streams() -> list[str]:
    from etl import stages

    return stages.build_streams(partition_day())


@task_group
def lane(stream: str):
    kept, totals, checked = deduplicate(stream), aggregate(stream), validate(stream)
    published = publish(stream)
    kept >> totals >> checked >> published
    return published


@task(map_index_template="{{ label }}", pool=ENGINE_POOL)
def deduplicate(stream: str) -> dict:
    from etl import stages

    label(stream)
    return stages.deduplicate(partition_day(), stream, work_area())


@task(map_index_template="{{ label }}", pool=ENGINE_POOL)
def aggregate(stream: str) -> dict:
    from etl import stages

    label(stream)
    return stages.aggregate(partition_day(), stream, work_area())


@task(map_index_template="{{ label }}", pool=ENGINE_POOL)
def validate(stream: str) -> dict:
    from etl import stages

    label(stream)
    return stages.validate(partition_day(), stream, work_area())


@task(map_index_template="{{ label }}", pool=ENGINE_POOL)
def publish(stream: str) -> dict:
    from etl import errors, stages

    label(stream)
    try:
        return stages.publish(partition_day(), stream, work_area())
    except errors.StaleInput:  # another run was faster: trying again from here would find the same
        return stages.build(partition_day(), stream, work_area())


@task(outlets=[DAILY])
def announce(*, outlet_events=None) -> str:
    """Only where every lane published, so that whoever waits for the date gets all of it."""
    day = str(partition_day())
    outlet_events[DAILY].extra = {"usage_date": day}
    return day


usage_build()
