"""usage_replay by the real task runner: the form's dry run, the real one, and a wrong range."""

import json
import sqlite3
import subprocess
import sys
from datetime import timedelta

import pytest

from deploy.embedded.environment import ROOT, environment, keep_secrets
from tests.events import DAY, evening, event, key, lines

pytestmark = pytest.mark.airflow

FORM = {"stream": "app_usage", "from": str(DAY), "to": str(DAY), "reason": "read too early"}
BEFORE = str(DAY - timedelta(days=1))
XCOM_BYTES = 2048


def test_the_form_lists_then_publishes_and_refuses_a_wrong_range(
    lake, object_store, tmp_path, quick_judge
):
    # given a day that is published, and an object that landed on it since
    lake.land(key(), lines(event("a", 5)), evening())
    lake.run("app_usage", DAY)
    lake.land(key(offset=1), lines(event("b", 2)), evening())
    before = lake.release()

    real = FORM | {"dry_run": False}
    dry, done, wrong = runs(lake, object_store, tmp_path, FORM, real, FORM | {"to": BEFORE})

    # then the dry run lists what would change, and tells nobody of it
    assert states(dry) == {"success": 5, "skipped": 1}
    assert "2026-11-18  api_calls Requests" in dry["said"]
    verdict = "dry run on release 2: would publish one release: "
    assert dry["tasks"]["finish"]["returned"][0]["verdict"].startswith(verdict)
    assert verdict in dry["said"]

    # and the real one has changed that in one release, which tells why, and announced the date
    assert states(done) == {"success": 6}
    assert done["tasks"]["announce"]["returned"] == [["2026-11-18"]]
    assert done["tasks"]["finish"]["returned"][0]["release"] == before.number + 1
    assert counts(done) == counts(dry)
    assert lake.release().number == before.number + 1
    assert lake.release().body["replay"]["reason"] == "read too early"
    assert lake.rows("SELECT sum(quantity)::INTEGER AS q FROM usage_daily") == [{"q": 7}]
    assert asked(tmp_path, "SELECT partition_key FROM asset_event") == [("2026-11-18",)]
    assert asked(tmp_path, "SELECT count(*) FROM asset_partition_dag_run") == [(0,)]

    # and the third says what is wrong with its form
    assert wrong["tasks"]["plan"]["states"] == ["failed"]
    assert "the last date 2026-11-17 lies before the first, 2026-11-18" in wrong["said"]
    for task in done["tasks"].values():
        assert max(len(json.dumps(one)) for one in task["returned"]) < XCOM_BYTES


def runs(lake, object_store, folder, *forms: dict) -> list[dict]:
    """What each run became and said, in a process of its own: Airflow configures itself at import."""
    env = environment(folder, keep_secrets(folder), object_store) | lake.settings
    output = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.replay_runs", *map(json.dumps, forms)],
        env=env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    ).stdout
    found, said = [], []
    for line in output.splitlines():
        if line.startswith("RUN "):
            found.append(json.loads(line[4:]) | {"said": "\n".join(said)})
            said = []
        said.append(line)
    assert len(found) == len(forms), output
    return found


def states(run: dict) -> dict[str, int]:
    every = [state for task in run["tasks"].values() for state in task["states"]]
    return {state: every.count(state) for state in every}


def counts(run: dict) -> dict:
    return run["tasks"]["finish"]["returned"][0]["partitions"]


def asked(folder, query: str) -> list[tuple]:
    with sqlite3.connect(f"file:{folder}/airflow/airflow.db?mode=ro", uri=True) as found:
        return found.execute(query).fetchall()
