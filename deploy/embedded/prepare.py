"""python -m deploy.embedded.prepare: Airflow's database and the pool of the engine, made or brought up to date."""

from datetime import UTC, datetime

ENGINE_POOL_SLOTS = 2


def prepare() -> None:
    """Needs the environment of the stack, because Airflow reads its configuration when it is imported."""
    from airflow.models.pool import Pool
    from airflow.utils.db import initdb

    print("airflow: preparing its database", flush=True)
    initdb()
    Pool.create_or_update_pool(
        "usage_engine", ENGINE_POOL_SLOTS, "processes that use the engine", False
    )
    _end_what_was_cut_off()


def _end_what_was_cut_off() -> None:
    """Runs whose runner was interrupted: a scheduler that starts later would go on with them."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    cut_off = (DagRun.state == "running") & (DagRun.triggering_user_name == "dag_test")
    with create_session() as session:
        ended = {"state": "failed", "end_date": datetime.now(UTC)}
        session.execute(update(DagRun).where(cut_off).values(ended))


if __name__ == "__main__":
    prepare()
