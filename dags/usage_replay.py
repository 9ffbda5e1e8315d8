"""# usage_replay

Reads landed dates of one stream again with today's contract and code, after a contract or a mapping was
mended, or where quarantined records can be accepted now: **plan → normalize (mapped over batches) → arrivals →
build (mapped over the usage dates they touch) → finish → announce**.

* **By hand only**: *Trigger*, then the form: stream, landed dates from and to (both included), the reason, dry run.
* **Dry run** (on unless switched off): publishes nothing. The log of `finish` lists exactly what would change:
  totals and refusals old and new, each partition with rows and bytes.
* **For real**: the same form with the dry run switched off publishes what the last dry run of these dates listed,
  all tables in one release that carries the reason, or nothing: where landing, lake or contract moved so that
  something else would change, `finish` fails and says what moved.
* **Downstream**: the usage dates are built within the run, so no `usage_build` follows; the statement pages are
  renewed. `announce` then tells those who wait for `usage_daily` which dates changed. Other runs may work
  meanwhile; where one of the same stream publishes, the replay publishes nothing.
* **Again**: a second replay finds nothing to change and announces nothing.
"""

from airflow.sdk import Param, TriggerRule, dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from usage_common import DAG_DEFAULTS, DAILY, ENGINE_POOL, contract_streams, label, work_area

DATE = {"type": "string", "format": "date"}


@dag(
    schedule=None,
    max_active_runs=1,
    tags=["usage", "replay"],
    doc_md=__doc__,
    params={
        "stream": Param(type="string", enum=contract_streams(), title="Stream"),
        "from": Param(**DATE, title="First landed date"),
        "to": Param(**DATE, title="Last landed date, included"),
        "reason": Param(
            type="string",
            minLength=8,
            maxLength=500,
            title="Reason",
            description="Why, in 8 letters or more; the release and the ledger keep it: name no person.",
        ),
        "dry_run": Param(
            True,
            type="boolean",
            title="Dry run",
            description="List what would change, publish nothing.",
        ),
    },
    **DAG_DEFAULTS,
)
def usage_replay():
    days = arrivals()
    normalize.expand(batch=plan()) >> days
    finished = finish()
    build.expand(usage_date=days) >> finished
    announce(finished)


@task
def plan(*, params=None, ti=None) -> list[int]:
    """Numbers of the batches to map over; what was found rides beside, in the XCom `found`."""
    from datetime import date

    from etl.replay import replay

    first, last = (date.fromisoformat(params[name]) for name in ("from", "to"))
    asked = (params["stream"], first, last, params["reason"], params["dry_run"])
    found = replay.plan(*asked, work_area())
    ti.xcom_push("found", {"objects": found["objects"], "bytes": found["bytes"]})
    return found["batches"]


@task(map_index_template="{{ label }}", pool=ENGINE_POOL)
def normalize(batch: int, *, params=None) -> dict:
    from etl.replay import replay

    label(f"{params['stream']}, batch {batch}")
    return replay.normalize(params["stream"], work_area(), batch)


@task(pool=ENGINE_POOL)
def arrivals(*, params=None) -> list[str]:
    from etl.replay import replay

    return replay.arrivals(params["stream"], work_area())


@task(map_index_template="{{ label }}", pool=ENGINE_POOL)
def build(usage_date: str, *, params=None) -> dict:
    from datetime import date

    from etl.replay import replay

    label(usage_date)
    return replay.build(date.fromisoformat(usage_date), params["stream"], work_area())


@task(pool=ENGINE_POOL, trigger_rule=TriggerRule.NONE_FAILED)
def finish(*, params=None) -> dict:
    from etl import errors
    from etl.replay import replay, text

    try:
        found = replay.finish(params["stream"], work_area())
    except errors.StaleInput as error:  # trying the last step again would find the same
        raise AirflowFailException(str(error)) from error
    print(text.text(found))
    return text.summary(found)


@task(outlets=[DAILY])
def announce(done: dict, *, params=None, outlet_events=None) -> list[str]:
    if params["dry_run"] or not done["usage_dates"]:
        raise AirflowSkipException(done["verdict"])
    outlet_events[DAILY].extra = {"replay": params["reason"], "release": done["release"]}
    outlet_events[DAILY].add_partitions(done["usage_dates"])
    return done["usage_dates"]


usage_replay()
