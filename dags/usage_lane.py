"""One lane of usage_ingest: the stages of one contract, from landing to published arrivals."""

from airflow.sdk import TriggerRule, task, task_group
from airflow.sdk.exceptions import AirflowSkipException
from usage_common import ENGINE_POOL, label, partition_day, work_area


def lane(stream: str):
    @task_group(group_id=stream)
    def one_stream():
        batches = extract(stream)
        read = normalize.partial(stream=stream).expand(batch=batches)
        published = publish(stream)
        [batches, read] >> collect(stream) >> validate(stream) >> published
        return published

    return one_stream()


@task
def extract(stream: str, *, ti=None) -> list[int]:
    """Numbers of the batches to map over; what was found rides beside, in the XCom `found`."""
    from etl import stages

    found = stages.extract(stream, partition_day(), work_area())
    ti.xcom_push("found", found)
    if not found["batches"]:
        raise AirflowSkipException("nothing new")
    return found["batches"]


@task(map_index_template="{{ label }}", pool=ENGINE_POOL)
def normalize(stream: str, batch: int) -> dict:
    from etl import stages

    label(f"{stream}, batch {batch}")
    return stages.normalize(stream, work_area(), batch)


# a batch that failed holds back no other, its objects are unread
@task(pool=ENGINE_POOL, trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
def collect(stream: str) -> dict:
    from etl import stages

    return stages.collect(stream, work_area())


@task(pool=ENGINE_POOL)
def validate(stream: str) -> dict:
    from etl import stages

    return stages.validate_arrivals(stream, work_area())


# also where nothing was new: dates that wait are announced again, readers follow the newest release
@task(pool=ENGINE_POOL, trigger_rule=TriggerRule.NONE_FAILED)
def publish(stream: str) -> dict:
    from etl import errors, stages

    try:
        return stages.publish_arrivals(stream, work_area())
    except errors.StaleInput:  # another run was faster: trying again from here would find the same
        return stages.ingest(stream, partition_day(), work_area())
