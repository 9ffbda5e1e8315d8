"""What the DAG files promise, read by Airflow in a process of its own: it configures itself at import."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.embedded.environment import ROOT, environment, keep_secrets

pytestmark = pytest.mark.airflow

DAG_FILES = sorted((ROOT / "dags").glob("*.py"))
LANE = {"extract", "normalize", "collect", "validate", "publish"}
DAGS = ("billing_ingest", "usage_ingest", "usage_build", "usage_replay", "lake_sweep")
STREAMS = ("app_usage", "cloudtrail", "s3_access")
BILLS = sorted(path.name for path in (ROOT / "contracts" / "billing").iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def dags(object_store, tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("dags")
    env = environment(folder, keep_secrets(folder), object_store)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.dag_facts"],
        env=env,
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_the_files_import_without_error_and_load_nothing_heavy(dags):
    assert dags["errors"] == {}
    assert sorted(dags["dags"]) == sorted(DAGS)
    assert dags["heavy"] == []


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_no_heavy_library_at_the_top_of_a_file(path: Path):
    imported = {
        name.split(".")[0]
        for node in ast.parse(path.read_text()).body
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert imported <= {"airflow", "datetime", "etl", "os", "pathlib", "usage_common", "usage_lane"}


@pytest.mark.parametrize("dag_id", DAGS)
def test_every_dag_explains_itself_and_is_bounded(dags, dag_id):
    dag = dags["dags"][dag_id]

    assert dag["doc_md"].startswith(f"# {dag_id}")
    assert dag["tags"] == sorted(dag_id.split("_"))
    assert not dag["catchup"]
    assert 1 <= dag["max_active_runs"] <= 4
    assert 0 < dag["dagrun_timeout"] <= 24 * 3600
    for name, task in dag["tasks"].items():
        assert task["owner"] == "metering", name
        assert 0 < task["execution_timeout"] <= dag["dagrun_timeout"], name
        assert task["retries"] > 0, name
        assert task["backoff"] > 1, name


def test_what_uses_the_engine_waits_for_a_slot_of_its_pool(dags):
    pools = {
        f"{dag_id}.{name}": task["pool"]
        for dag_id, dag in dags["dags"].items()
        for name, task in dag["tasks"].items()
    }

    light = {
        "announce",
        "every_lane_published",
        "every_object_read",
        "streams",
        "extract",
        "plan",
        "sweep",
    }
    for name, pool in pools.items():
        expected = "default_pool" if name.split(".")[-1] in light else "usage_engine"
        assert pool == expected, name


def test_mapped_tasks_carry_readable_names(dags):
    mapped = {
        f"{dag_id}.{name}": task["map_index_template"]
        for dag_id, dag in dags["dags"].items()
        for name, task in dag["tasks"].items()
        if task["mapped"]
    }

    lanes = {f"usage_build.lane.{n}" for n in ("deduplicate", "aggregate", "validate", "publish")}
    replay = {"usage_replay.normalize", "usage_replay.build"}
    ingests = {f"usage_ingest.{stream}.normalize" for stream in STREAMS}
    bills = {f"billing_ingest.{stream}.load" for stream in BILLS}
    assert set(mapped) == lanes | replay | ingests | bills
    assert set(mapped.values()) == {"{{ label }}"}


def test_validate_gates_publish_and_only_announce_has_outlets(dags):
    ingest, build = (dags["dags"][name]["tasks"] for name in ("usage_ingest", "usage_build"))

    for stream in STREAMS:
        assert {f"{stream}.{one}" for one in LANE} <= set(ingest)
        assert ingest[f"{stream}.publish"]["upstream"] == [f"{stream}.validate"]
        assert ingest[f"{stream}.publish"]["trigger_rule"] == "none_failed"  # or nothing was new
        assert ingest[f"{stream}.validate"]["upstream"] == [f"{stream}.collect"]
        assert ingest[f"{stream}.collect"]["upstream"] == [
            f"{stream}.extract",
            f"{stream}.normalize",
        ]
    assert build["lane.publish"]["upstream"] == ["lane.validate", "streams"]
    assert build["lane.publish"]["trigger_rule"] == "all_success"
    assert build["lane.validate"]["upstream"] == ["lane.aggregate", "streams"]
    assert build["lane.aggregate"]["upstream"] == ["lane.deduplicate", "streams"]
    for tasks in (ingest, build):  # the page also tells of a run in which a lane failed
        assert tasks["statement"]["trigger_rule"] == "all_done"
    assert outlets(ingest) == {"announce": ["usage_arrival"]}
    assert outlets(build) == {"announce": ["usage_daily"]}


def outlets(tasks: dict) -> dict:
    return {name: task["outlets"] for name, task in tasks.items() if task["outlets"]}


def test_a_failed_lane_holds_back_no_other_but_fails_the_run(dags):
    ingest = dags["dags"]["usage_ingest"]["tasks"]

    published = [f"{stream}.publish" for stream in STREAMS]
    assert ingest["announce"]["upstream"] == published
    assert ingest["announce"]["trigger_rule"] == "all_done"
    assert ingest["every_lane_published"]["upstream"] == published
    assert ingest["every_lane_published"]["trigger_rule"] == "none_failed"


def test_a_lane_for_every_bill_whose_failure_holds_back_no_other(dags):
    tasks = dags["dags"]["billing_ingest"]["tasks"]

    steps = {"deliver": [], "load": ["deliver"], "settle": ["deliver", "load"]}
    steps |= {"validate": ["settle"], "publish": ["validate"]}
    for stream in BILLS:
        for step, before in steps.items():
            task = tasks[f"{stream}.{step}"]
            assert task["upstream"] == [f"{stream}.{one}" for one in before]
            expected = "none_failed_min_one_success" if step == "settle" else "all_success"
            assert task["trigger_rule"] == expected, step
    published = [f"{stream}.publish" for stream in BILLS]
    rules = {"announce": "all_done", "alarm": "all_done", "every_lane_published": "none_failed"}
    assert {name for name in tasks if "." not in name} == rules.keys()
    for name, rule in rules.items():
        assert (tasks[name]["upstream"], tasks[name]["trigger_rule"]) == (published, rule)
    assert outlets(tasks) == {"announce": ["charge"]}


def test_a_month_is_loaded_again_through_a_form_that_knows_a_month(dags):
    form = dags["dags"]["billing_ingest"]["form"]
    month, only = form["billing_period"], form["stream"]

    assert {None, "aws_cur2", "vendor_focus"} <= set(only["enum"]) and len(form) == 2
    assert month["type"] == ["null", "string"]
    assert re.search(month["pattern"], "2026-10")
    for text in ("2026-13", "2026-1", "2026-10-01", "october", ""):
        assert not re.search(month["pattern"], text)


def test_a_backfill_over_dates_is_refused_where_a_run_owns_no_date(dags):
    """Each of its runs, six a day, would look for the same newest deliveries, and load no month again."""
    others = ["asset_materialization", "manual", "operator_triggered", "scheduled"]
    assert dags["dags"]["billing_ingest"]["run_types"] == others
    assert dags["dags"]["usage_ingest"]["run_types"] is None


def test_a_failed_batch_holds_back_no_other_but_fails_the_run_once_all_are_announced(dags):
    ingest = dags["dags"]["usage_ingest"]["tasks"]

    for stream in STREAMS:
        assert ingest[f"{stream}.collect"]["trigger_rule"] == "all_done_min_one_success"
    last = ingest["every_object_read"]
    published = [f"{stream}.publish" for stream in STREAMS]
    assert last["upstream"] == sorted(["announce", *published, "statement"])
    assert last["trigger_rule"] == "all_done"
    assert all("every_object_read" not in task["upstream"] for task in ingest.values())


def test_only_what_a_retry_can_help_is_retried(dags):
    assert dags["retries"] == {
        "etl.errors.Retryable": "retry",
        "etl.errors.StaleInput": "retry",
        "etl.errors.StoreUnavailable": "retry",
        "builtins.ConnectionError": "retry",
        "builtins.TimeoutError": "retry",
        "etl.errors.SettingError": "fail",
        "etl.errors.ContractError": "fail",
        "etl.errors.SourceError": "fail",
        "etl.errors.QualityError": "fail",
        "etl.errors.OutOfBalance": "fail",
        "builtins.ValueError": "default",
    }


def test_a_lane_whose_input_was_replaced_is_run_again_whole(dags):
    assert dags["stale"] == {
        "usage_ingest": "ran again",
        "usage_build": "ran again",
        "billing_ingest": ["aws_focus", "run", "2026-10"],
        "usage_replay": "failed: another run was faster",
    }


def test_every_dag_survives_serialization(dags):
    assert dags["round_trip"] == dict.fromkeys(DAGS, True)


def test_a_replay_is_started_by_hand_through_a_form_that_checks_what_it_can(dags):
    replay = dags["dags"]["usage_replay"]

    assert (replay["by_hand"], replay["max_active_runs"]) == (True, 1)
    rules = ("type", "enum", "format", "minLength", "maxLength")
    assert {
        name: {rule: one[rule] for rule in rules if rule in one}
        for name, one in replay["form"].items()
    } == {
        "stream": {"type": "string", "enum": list(STREAMS)},
        "from": {"type": "string", "format": "date"},
        "to": {"type": "string", "format": "date"},
        "reason": {"type": "string", "minLength": 8, "maxLength": 500},
        "dry_run": {"type": "boolean"},
    }


def test_a_replay_announces_only_what_it_finished(dags):
    tasks = dags["dags"]["usage_replay"]["tasks"]

    assert outlets(tasks) == {"announce": ["usage_daily"]}
    assert tasks["announce"]["upstream"] == ["finish"]
    assert tasks["finish"]["upstream"] == ["build"]
    assert tasks["arrivals"]["upstream"] == ["normalize"]
    assert tasks["finish"]["trigger_rule"] == "none_failed"  # or no usage date was touched
