"""# lake_sweep

Deletes what runs that died left in the lake: **work areas** (`_work/…`) of which nothing was written for
`USAGE_EXPORT_SWEEP_AFTER_DAYS`, and **staged files** as old that no release names. Nothing that any
release names is ever deleted, and it may run beside ingests and builds.

* **Schedule**: daily. Nothing waits for it.
* **By hand**: *Trigger*; `usage-export sweep --dry-run` lists what it would delete.
"""

from airflow.sdk import dag, task
from usage_common import DAG_DEFAULTS, work_area


@dag(
    schedule="30 5 * * *", max_active_runs=1, tags=["lake", "sweep"], doc_md=__doc__, **DAG_DEFAULTS
)
def lake_sweep():
    sweep()


@task
def sweep() -> dict:
    from etl import stages

    done = stages.sweep(work_area())
    return {"objects": done["objects"], "bytes": done["bytes"]}


lake_sweep()
