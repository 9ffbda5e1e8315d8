"""Each rule of the expectations finds what it is there for, and a rule that fails publishes nothing."""

import json
import re
import shutil
from datetime import UTC, datetime

import pytest

from etl import contract, judge, settings, sql, tables, validate
from etl.errors import QualityError
from etl.settings import ROOT
from etl.validate import EXPECTATIONS
from tests.conftest import Lake, decide
from tests.events import DAY, evening, event, key, lines
from tests.suites import SHORT, TWICE, broken, stage, suite, violations

KEY_A, KEY_B = "a" * 64, "b" * 64
EVENT = {
    "idempotency_key": KEY_A,
    "record_key": KEY_B,
    "stream": "app_usage",
    "source": "//app/a",
    "record_kind": "usage",
    "tenant_id": "t-1",
    "attribution": "event",
    "meter": "api_calls",
    "unit": "Requests",
    "quantity": 5,
    "sample_weight": 1,
    "event_time": "2026-11-18 10:00:00",
    "period_start": "2026-11-18 10:00:00",
    "period_end": "2026-11-18 10:00:00",
    "usage_date": "2026-11-18",
    "delivered_at": "2026-11-18 23:00:00",
    "labels": {"feature": "core"},
    "raw_object_key": "topics/one.json.gz",
    "raw_line": 1,
}
DAILY = {name: EVENT[name] for name in ("stream", "tenant_id", "meter", "unit", "usage_date")}
DAILY |= {"labels": {}, "quantity": 5, "weighted_quantity": 5, "events": 1, "sampled_events": 0}
RULES_OF_EVENTS = {
    "column_types": [SHORT],
    "required_missing": [{name: None} for name in ("tenant_id", "quantity", "raw_line", "meter")],
    "key_malformed": [{"record_key": "A" * 64}, {"corrects_key": "b" * 63}],
    "wrong_partition": [{"stream": "other"}, {"usage_date": "2026-11-19"}],
    "meter_or_unit_not_allowed": [{"unit": "Bytes"}, {"meter": "else"}],
    "attribution_not_allowed": [{"attribution": "label"}, {"tenant_id": "UNATTRIBUTED"}],
    "quantity_negative": [
        {"quantity": -1},
        {"record_kind": "void", "quantity": 1},
        {"record_kind": "x"},
    ],
    "sample_weight_out_of_range": [{"sample_weight": 0}],
    "time_out_of_range": [
        {"event_time": "2026-11-18 23:05:01"},
        {"event_time": "2026-10-14 22:59:59"},
        {"period_end": "2026-11-18 09:00:00"},
    ],
    "labels_not_allowed": [
        {"labels": {"else": "x"}},
        {"labels": {f"l{n}": "x" for n in range(17)}},
    ],
    "personal_data": [
        {name: "a@example.com"}
        for name in ("source", "source_event_id", "tenant_id", "service_name", "region_id")
    ]
    + [{"labels": {"feature": "10.7.7.7"}}, {"sub_account_id": "AKIA0123456789ABCDEF"}],
    "totals_differ_from_tally": [TWICE, {"quantity": "5.000000001"}, {"meter": "llm_tokens"}],
}
CASES: dict[str, dict[str, list]] = {
    "usage_arrival": RULES_OF_EVENTS | {"delivery_not_unique": [TWICE]},
    "usage_event": RULES_OF_EVENTS
    | {
        "identity_not_unique": [TWICE],
        "void_published": [{"record_kind": "void", "quantity": 0}],
        "mostly_unattributed": [{"tenant_id": "UNATTRIBUTED", "attribution": "none"}],
    },
    "usage_daily": {
        "column_types": [SHORT],
        "grain_not_unique": [TWICE],
        "wrong_partition": [{"stream": "other"}, {"usage_date": "2026-11-19"}],
        "meter_or_unit_not_allowed": [{"unit": "Bytes"}],
        "events_out_of_range": [{"events": 0}, {"sampled_events": 2}, {"sampled_events": -1}],
        "weight_without_sample": [{"weighted_quantity": 6}],
        "quantity_negative": [{"quantity": -1}],
        "personal_data": [{"tenant_id": "a@example.com"}, {"labels": {"feature": "10.7.7.7"}}],
        "totals_differ_from_tally": [{"quantity": 4}, {"events": 2}],
    },
}


@pytest.mark.parametrize("table", CASES)
def test_every_rule_is_tested_and_a_good_table_breaks_none(engine, table):
    bind(engine, table, [good(table)])

    rules = suite(table)

    assert rules.keys() == CASES[table].keys()
    assert violations(engine, [*rules.values()]) == dict.fromkeys(rules, 0)


@pytest.mark.parametrize(
    ("table", "rule", "bad"),
    [(table, rule, bad) for table in CASES for rule, bads in CASES[table].items() for bad in bads],
)
def test_a_table_that_breaks_a_rule_is_found_by_it(engine, table, rule, bad):
    bind(engine, table, broken(good(table), bad), without="stream" if bad == SHORT else None)

    assert violations(engine, [suite(table)[rule]])[rule] > 0


@pytest.mark.parametrize("table", CASES)
def test_rules_say_what_they_mean_and_judge_counts_exactly(table):
    for one in suite(table).values():
        assert one["kwargs"]["min_value"] == one["kwargs"]["max_value"] == 0
        assert one["severity"] in ("critical", "warning")
        assert one["meta"]["says"].endswith(".")
        assert ("bad_rows" in one["meta"]) != ("count" in one["meta"])


@pytest.mark.parametrize("table", CASES)
def test_the_judge_of_quick_tests_decides_as_great_expectations_does(table, tmp_path):
    rules = suite(table)
    whole = json.loads((EXPECTATIONS / f"{table}.json").read_text())
    violations = {rule: n % 2 for n, rule in enumerate(rules)}

    decided = judge.judge(whole, violations, "quick", datetime(2026, 11, 18, tzinfo=UTC), tmp_path)

    assert decide(whole, violations) == decided
    assert {one["success"] for one in decided} == {True, False}


def test_a_failed_suite_publishes_nothing_and_names_table_rule_count_and_line(
    lake, tmp_path, monkeypatch
):
    lake.land(key(), lines(event("a", 1)), evening())
    lake.run("app_usage", DAY)
    before = lake.release()
    expect(monkeypatch, tmp_path, "usage_arrival", "quantity > 100", "critical")
    expect(monkeypatch, tmp_path, "usage_arrival", "quantity > 350", "critical", "theirs")
    lake.land(key(offset=1), lines(event("b", 2), event("c", 300), event("d", 400)), evening())

    with pytest.raises(QualityError) as failed:
        lake.ingest("app_usage", DAY)

    head, *rules, see = str(failed.value).splitlines()
    assert head.startswith("usage_arrival of app_usage, 2026-11-18: 2 expectations failed, it is")
    assert [line.partition(":")[0] for line in rules] == [
        "  ours (What is ours.)",
        "  theirs (What is ours.)",
    ]
    first, second = (f"{key(offset=1)}:{line}" for line in (2, 3))
    assert rules[0].endswith(f": 2 violations, first at {first}, {second}")
    assert rules[1].endswith(f": 1 violation, first at {second}")
    said = "".join([head, *rules])  # the page lies under a name of its content
    assert "300" not in said and "t-1" not in said, "never a value of a record"
    (docs,) = re.findall(rf"^see s3://lake/{lake.name}/(\S+)$", see)
    assert b"<html" in lake.read(docs)
    assert lake.release() == before

    expect(monkeypatch, tmp_path, "usage_arrival", "quantity > 300", "warning")
    lake.ingest("app_usage", DAY)
    assert lake.release().number == before.number + 1, "a warning is kept, and lets it pass"
    (entry,) = lake.release().partitions("manifest").values()
    kept = {one["rule"]: one for one in json.loads(lake.read(entry["validation"]))["results"]}
    assert kept["ours"] == {
        "rule": "ours",
        "severity": "warning",
        "success": False,
        "violations": 1,
    }


def test_a_failed_total_keeps_the_older_release_readable(lake, tmp_path, monkeypatch):
    lake.land(key(), lines(event("a", 1)), evening())
    lake.ingest("app_usage", DAY)
    expect(monkeypatch, tmp_path, "usage_daily", "quantity > 0", "critical")

    with pytest.raises(
        QualityError, match=r"usage_daily of app_usage, 2026-11-18: (?s:.*) 1 violation"
    ):
        lake.build("app_usage", DAY)

    assert lake.release().number == 1
    assert lake.release().pending == {"app_usage/2026-11-18": 1}
    assert lake.rows("FROM usage_daily") == lake.rows("FROM usage_event") == []


@pytest.fixture(scope="module")
def engine(object_store):
    """A table without partitions asks nothing of the lake, so no lake is given."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        Lake(object_store, "expectations", monkeypatch)
        with sql.connect(settings.from_environment()) as connection:
            yield connection


def bind(engine, table: str, rows: list[dict], without: str | None = None) -> None:
    """Bind literal rows as `staged`; the tally is that of the good row."""
    noun = tables.ALL[table]
    subject = validate.usage(
        noun, [contract.load(ROOT / "contracts", "app_usage")], DAY, DAY, (), ()
    )
    stage(engine, subject, rows, without)
    engine.execute("""CREATE OR REPLACE TEMP VIEW expected_total AS SELECT 'api_calls' AS meter,
        'Requests' AS unit, 1::BIGINT AS n, 5::DECIMAL(38,9) AS quantity""")


def good(table: str) -> dict:
    return dict(DAILY if table == "usage_daily" else EVENT)


def expect(
    monkeypatch, folder, table: str, bad_rows: str, severity: str, name: str = "ours"
) -> None:
    """Add one rule to the suites, in a folder of the test's own."""
    own = folder / "expectations"
    if name == "ours":
        shutil.copytree(EXPECTATIONS, own, dirs_exist_ok=True)
    found = json.loads((own / f"{table}.json").read_text())
    rule = json.loads(json.dumps(found["expectations"][0])) | {"severity": severity}
    rule["kwargs"]["column"] = name
    rule["meta"] = {"says": "What is ours.", "bad_rows": bad_rows}
    found["expectations"].append(rule)
    (own / f"{table}.json").write_text(json.dumps(found))
    monkeypatch.setattr(validate, "EXPECTATIONS", own)
