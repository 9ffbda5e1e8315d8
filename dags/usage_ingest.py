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
* **Where nothing is new** the lane goes from `extract` to `publish`: the release keeps its number, and usage dates
  that still wait to be built are announced again.
* **If objects cannot be read**, or a batch of them fails, or every batch, the others are published and announced first;
  then `every_object_read` fails the run and names them. The table `unread` holds them until a run has read them.
* **Side by side**: where another run published what a lane had read, `publish` runs its lane again.
"""

from airflow.sdk import CronPartitionTimetable, TriggerRule, dag, task
from airflow.sdk.exceptions import AirflowSkipException
from usage_common import (
    ARRIVAL,
    DAG_DEFAULTS,
    DAY_FORMAT,
    contract_streams,
    every_lane_published,
    partition_day,
    statement,
    work_area,
)
from usage_lane import lane


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
    lanes = {stream: lane(stream) for stream in contract_streams()}
    published = [*lanes.values()]
    announced, told = announce(published), statement(published)
    every_lane_published(published)
    published >> told
    [announced, told] >> every_object_read(lanes)


# a failed lane does not hold back the others
@task(outlets=[ARRIVAL], trigger_rule=TriggerRule.ALL_DONE)
def announce(published: list[dict | None], *, outlet_events=None) -> list[str]:
    days = sorted({day for one in published if one for day in one["usage_dates"]})
    if not days:
        raise AirflowSkipException("nothing landed and nothing waits: no usage date to build")
    outlet_events[ARRIVAL].extra = {"usage_dates": len(days), "landed_date": str(partition_day())}
    outlet_events[ARRIVAL].add_partitions(days)
    return days


# last of all, so that what was read is announced by then
@task(trigger_rule=TriggerRule.ALL_DONE)
def every_object_read(lanes: dict[str, dict | None]) -> int:
    """Fails the run where a lane published without some of its objects, and names them."""
    missed = {stream: one["objects_unread"] for stream, one in lanes.items() if one}
    if any(missed.values()):
        from etl import stages

        stages.expect_all_read(filter(missed.get, missed), work_area())
    return len(missed)


usage_ingest()
