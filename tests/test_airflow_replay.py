"""usage_replay by the real task runner: the form's dry run, the real one, and a wrong range."""

import json
from datetime import timedelta

import pytest

from tests.dag_runs import Runs, states
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
    with Runs("usage_replay", lake, object_store, tmp_path) as runs:
        dry, done, wrong = (runs.run(**form) for form in (FORM, real, FORM | {"to": BEFORE}))

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
    assert runs.asked("SELECT partition_key FROM asset_event") == [("2026-11-18",)]
    assert runs.asked("SELECT count(*) FROM asset_partition_dag_run") == [(0,)]

    # and the third says what is wrong with its form
    assert wrong["tasks"]["plan"]["states"] == ["failed"]
    assert "the last date 2026-11-17 lies before the first, 2026-11-18" in wrong["said"]
    for task in done["tasks"].values():
        assert max(len(json.dumps(one)) for one in task["returned"]) < XCOM_BYTES


def counts(run: dict) -> dict:
    return run["tasks"]["finish"]["returned"][0]["partitions"]
