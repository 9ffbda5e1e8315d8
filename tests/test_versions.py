"""A contract that changes between runs: what an older version accepted is judged by what that version allowed."""

from datetime import date
from pathlib import Path

import pytest

from etl import stages
from etl.errors import QualityError
from etl.settings import ROOT
from tests.events import DAY, TOKENS, evening, event, key, lines, void

pytestmark = pytest.mark.usefixtures("quick_judge")
NEXT = date(2026, 11, 19)
STRICTER = (
    ("version: 1.0.0", "version: 1.1.0"),
    ("late_window_days: 35", "late_window_days: 4"),
    ("llm_tokens: Tokens, ", ""),
    ("allowed: [feature", "allowed: [colour"),
    ("daily: [feature]", "daily: []"),
)


def versions(folder: Path, *changes: tuple[str, str]) -> None:
    """The contract as it is, retired, beside a newer one with these changes."""
    text = (ROOT / "contracts/app_usage/1.0.0.yaml").read_text()
    (folder / "app_usage").mkdir()
    retired = text.replace("status: active", "status: retired")
    (folder / "app_usage/1.0.0.yaml").write_text(retired)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "app_usage/1.1.0.yaml").write_text(text)


def test_a_stricter_contract_does_not_stop_days_that_an_older_one_accepted(
    lake, tmp_path, monkeypatch
):
    tokens = event("t", type=TOKENS, data={"quantity": 7, "feature": "core"})
    early = [event(name, 3, at="2026-11-14T09:00:00Z") for name in ("kept", "void")]
    lake.land(key(), lines(event("a", 2), tokens, *early), evening())
    lake.run("app_usage", DAY)
    versions(tmp_path, *STRICTER)
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(tmp_path))

    lake.land(key(NEXT, offset=4), lines(event("b", 5, feature=None), void("void")), evening(NEXT))
    assert lake.run("app_usage", NEXT) == ["2026-11-14", "2026-11-18"]

    found = lake.rows("SELECT source_event_id AS id, schema_version AS version FROM usage_event")
    by_id = {row["id"]: row["version"] for row in found}
    assert by_id == {"a": "1.0.0", "t": "1.0.0", "kept": "1.0.0", "b": "1.1.0"}


def test_what_was_read_by_a_version_that_is_gone_is_read_anew(lake, tmp_path, monkeypatch):
    lake.land(key(), lines(event("a", 2)), evening())
    stages.extract("app_usage", DAY, "run")
    stages.normalize("app_usage", "run", 0)
    versions(tmp_path, STRICTER[0])
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(tmp_path))

    stages.collect("app_usage", "run")
    stages.validate_arrivals("app_usage", "run")
    stages.publish_arrivals("app_usage", "run")

    (waiting,) = lake.rows("SELECT raw_object_key AS key, reason FROM unread")
    assert waiting == {"key": key(), "reason": "batch_failed"}
    assert lake.run("app_usage", DAY) == ["2026-11-18"]
    (row,) = lake.rows(
        "SELECT m.schema_version AS read, e.schema_version AS row FROM manifest m, usage_event e"
    )
    assert row == {"read": "1.1.0", "row": "1.1.0"}
    assert not lake.rows("FROM unread")


def test_what_no_version_allows_stops_the_day(lake, tmp_path, monkeypatch):
    versions(tmp_path, *STRICTER)
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(tmp_path))
    lake.land(key(), lines(event("a", 2, feature=None)), evening())
    lake.ingest("app_usage", DAY)
    retired = tmp_path / "app_usage/1.0.0.yaml"
    for path in (retired, tmp_path / "app_usage/1.1.0.yaml"):
        path.write_text(path.read_text().replace("api_calls: Requests", "calls: Requests"))

    with pytest.raises(QualityError, match="meter_or_unit_not_allowed"):
        lake.build("app_usage", DAY)
