"""Replay: a dry run lists exactly what the real one then changes, and leaves the lake as it is."""

import json
import shutil
from dataclasses import dataclass
from datetime import date, timedelta

import pytest

from etl import contract, extract, judge, layout, lookup, settings, stages, validate
from etl.errors import QualityError, SettingError, SourceError, StaleInput
from etl.release import PROVENANCE, Release
from etl.replay import replay
from etl.replay.difference import KEPT
from etl.replay.listing import changed
from etl.settings import ROOT
from etl.store import Store
from tests.conftest import Lake, decide
from tests.events import DAY, evening, event, key, lines

REASON = "quantity was read from another field"
NEXT = DAY + timedelta(days=1)
AT_NIGHT, EARLIER = "2026-11-18T23:30:00Z", "2026-11-16T09:00:00Z"
WRONG = (
    ("physicalName: $.data.quantity", "physicalName: $.data.qty"),
    ("late_window_days: 35", "late_window_days: 1"),
)


def measured(name: str, quantity: int, qty: int, **fields) -> dict:
    return event(name, data={"quantity": quantity, "qty": qty, "feature": "core"}, **fields)


@pytest.fixture(scope="module")
def contracts(tmp_path_factory):
    """Today's contracts, which the tests may write."""
    return shutil.copytree(ROOT / "contracts", tmp_path_factory.mktemp("replay") / "contracts")


@pytest.fixture(scope="module")
def template(object_store, contracts):
    """Two landed dates of a lake that were read with a wrong contract, which was mended since."""
    path = contracts / "app_usage" / "1.0.0.yaml"
    right = path.read_text()
    with pytest.MonkeyPatch.context() as monkeypatch:
        lake = opened(object_store, "replay-template", contracts, monkeypatch)
        first = [measured("a", 5, 4), measured("late", 7, 7, at=EARLIER), measured("same", 2, 2)]
        second = [measured("b", 3, 1, at=AT_NIGHT), measured("a", 5, 4)]
        lake.land(key(), lines(*first, "{"), evening())
        lake.land(key(NEXT, offset=9), lines(*second), evening(NEXT))
        wrong = right
        for good, bad in WRONG:
            wrong = wrong.replace(good, bad)
        path.write_text(wrong)
        lake.run("app_usage", DAY, NEXT)
    path.write_text(right)
    return lake


def opened(object_store, name: str, contracts, monkeypatch) -> Lake:
    monkeypatch.setattr(judge, "judge", decide)
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(contracts))
    return Lake(object_store, name, monkeypatch)


@pytest.fixture
def wrong(template, lake, contracts, monkeypatch, object_store) -> Lake:
    """A copy of that lake, for one test alone."""
    return copied(object_store, template, lake.name, contracts, monkeypatch)


def copied(object_store, template: Lake, name: str, contracts, monkeypatch) -> Lake:
    return opened(object_store, name, contracts, monkeypatch).copy_of(template)


def replayed(dry_run: bool, reason: str = REASON, last: date = NEXT, run: str = "r") -> dict:
    return replay.replay("app_usage", DAY, last, reason, dry_run, run, lambda _: None)


@dataclass
class Done:
    """A dry run, then the real one, over the same lake, in which another stream published in between."""

    lake: Lake
    before: Release
    listed: dict
    done: dict
    after: Release


@pytest.fixture(scope="module")
def done(template, object_store, contracts):
    with pytest.MonkeyPatch.context() as monkeypatch:
        lake = copied(object_store, template, "replay-done", contracts, monkeypatch)
        before, objects = lake.release(), stored(lake)
        listed = replayed(dry_run=True)
        assert (lake.release(), stored(lake)) == (before, objects), "only _work was written"
        other_stream(lake)
        yield Done(lake, lake.release(), listed, replayed(dry_run=False), lake.release())


def test_the_dry_run_lists_exactly_what_the_real_run_then_changes(done):
    assert done.after.number == done.done["release"] == done.before.number + 1
    assert differing(done.before, done.after) == {
        (one["table"], one["partition"], one["state"]): (hashes(one["old"]), hashes(one["new"]))
        for one in changed(done.listed)
    }
    listed = [f"{one['table']}/{one['partition']}" for one in changed(done.listed)]
    assert done.after.body["changed"] == sorted(listed)
    for name in ("partitions", "totals", "quarantine", "usage_dates"):
        assert done.done[name] == done.listed[name]
    moved = f"the lake moved from release {done.listed['base']} to {done.before.number}"
    assert done.done["since_dry_run"] == [moved]
    assert json.loads(json.dumps(done.listed)) == done.listed


def test_totals_and_refusals_are_listed_with_old_new_and_difference(done):
    names = ("usage_date", "old_quantity", "new_quantity", "difference", "events_difference")
    assert [tuple(one[name] for name in names) for one in done.listed["totals"]] == [
        ("2026-11-16", "0.000000000", "7.000000000", "7.000000000", 1),
        ("2026-11-18", "7.000000000", "10.000000000", "3.000000000", 0),
    ]
    assert done.listed["quarantine"] == [
        {"reason": "not_json", "old": 1, "new": 1},
        {"reason": "too_late", "old": 2, "new": 0},
    ]
    # and they are what analysts then read
    assert totals(done.lake) == {
        (one["usage_date"], one["meter"]): (one["new_quantity"], one["new_events"])
        for one in done.listed["totals"]
    }


def test_the_reason_stands_in_the_release_and_beside_the_cause(done):
    asked = {"stream": "app_usage", "from": "2026-11-18", "to": "2026-11-19", "reason": REASON}
    assert done.after.body["replay"] == asked
    landed = "arrivals landed on 2026-11-18, 2026-11-19"
    assert done.lake.rows("SELECT DISTINCT usage_date, cause FROM restatement") == [
        {"usage_date": DAY, "cause": f"{landed}; replay: {REASON}"}
    ]


def test_the_statement_pages_of_what_changed_are_renewed(done):
    for day in ("2026-11-16", "2026-11-18", "2026-11-19"):
        head = done.lake.client.head_object(
            Bucket="lake", Key=f"{done.lake.name}/_statement/{day}.html"
        )
        assert head["Metadata"]["release"] == str(done.after.number)


def test_a_second_replay_changes_nothing_whatever_its_reason(done):
    objects = stored(done.lake, pages=False)

    again = replayed(dry_run=False, reason="the same once more")

    assert {one["state"] for one in again["partitions"]} == {KEPT}
    assert (done.lake.release(), stored(done.lake, pages=False)) == (done.after, objects)


def test_the_lake_is_then_as_if_it_had_been_read_like_that_at_once(done, monkeypatch):
    made = files(done.lake)
    monkeypatch.setenv("USAGE_EXPORT_LAKE", f"s3://lake/{done.lake.name}-anew")

    done.lake.run("app_usage", DAY, NEXT)

    assert made.pop("restatement")
    other_stream(done.lake)
    assert files(done.lake) == made
    assert done.after.pending == {}


def test_objects_that_nobody_has_read_are_read_and_other_landed_dates_are_left_alone(wrong):
    wrong.land(key(offset=50), lines(measured("unread", 1, 1)), evening())
    wrong.land(key(NEXT, offset=60), lines(measured("other", 1, 1)), evening(NEXT))

    found = replayed(dry_run=False, last=DAY)

    assert sorted(found["objects"]) == [key(), key(offset=50)]
    assert found["usage_dates"] == ["2026-11-16", "2026-11-18"]
    dates = {layout.partition_values(one["partition"]).get("landed_date") for one in changed(found)}
    assert dates == {None, "2026-11-18"}
    assert lookup.backlog("app_usage") == [key(NEXT, offset=60)]
    # and the next release, which is none of a replay, does not repeat the reason
    wrong.ingest("app_usage", NEXT)
    assert wrong.release().body["replay"] == {}


def test_what_moved_since_the_dry_run_is_named_and_nothing_is_published(wrong, contracts):
    replayed(dry_run=True)
    wrong.land(key(offset=50), lines(measured("moved", 1, 1)), evening())
    wrong.ingest("app_usage", DAY)
    before = wrong.release()
    path = contracts / "app_usage" / "1.0.0.yaml"
    right = path.read_text()
    path.write_text(right.replace("daily: [feature]", "daily: []"))

    with pytest.raises(StaleInput) as caught:
        replayed(dry_run=False)

    path.write_text(right)
    landing = f"first s3://landing/{wrong.name}/{key(offset=50)}"
    assert f"landing moved: 1 object came, went or changed, {landing}" in str(caught.value)
    lake = f"the lake moved from release {before.number - 1} to {before.number}"
    assert f"{lake}; contract or code changed); nothing was published" in str(caught.value)
    assert wrong.release() == before


def test_a_publisher_meanwhile_stops_a_replay_of_its_own_stream_alone(wrong):
    # given a replay that is about to finish, while another stream publishes
    prepared()
    base = wrong.release().number
    other_stream(wrong)

    # then it finishes, and may be tried again after its commit
    assert replay.finish("app_usage", "r")["release"] == base + 2 == wrong.release().number
    assert replay.finish("app_usage", "r")["release"] == base + 2

    # but where its own stream was published since it began, it publishes nothing
    wrong.land(key(offset=50), lines(measured("c", 1, 1)), evening())
    wrong.ingest("app_usage", DAY)
    before = wrong.release()
    with pytest.raises(StaleInput, match=rf"published after this replay had read release {base};"):
        replay.finish("app_usage", "r")
    assert wrong.release() == before


def test_a_failed_expectation_ends_the_dry_run_too(wrong, tmp_path, monkeypatch):
    suites = shutil.copytree(validate.EXPECTATIONS, tmp_path / "expectations")
    path = suites / "usage_daily.json"
    suite = json.loads(path.read_text())
    first = suite["expectations"][0]
    first["meta"] = {"says": "never", "bad_rows": "true"}
    path.write_text(json.dumps(suite))
    monkeypatch.setattr(validate, "EXPECTATIONS", suites)
    before, objects = wrong.release(), stored(wrong)

    with pytest.raises(QualityError, match=r"see s3://lake/.*/_work/r/app_usage/draft-.*/_docs/"):
        replayed(dry_run=True)

    assert (wrong.release(), stored(wrong)) == (before, objects)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("apps", DAY, DAY, REASON), "no contract for apps: known are app_usage"),
        (("app_usage", NEXT, DAY, REASON), "2026-11-18 lies before the first, 2026-11-19"),
        (("app_usage", DAY, DAY + timedelta(days=366), REASON), "more than 366 days"),
        (("app_usage", DAY, DAY, "too few"), "8 to 500 printable characters"),
        (("app_usage", DAY, DAY, " " * 9), "8 to 500 printable characters"),
        (("app_usage", DAY, DAY, "x" * 501), "8 to 500 printable characters"),
        (("app_usage", DAY, DAY, "two\nlines of it"), "8 to 500 printable characters"),
        (("app_usage", DAY, DAY, "asked by jo@acme.example"), "looks as if it held personal data"),
    ],
)
def test_what_cannot_be_replayed_is_refused_before_anything_is_read(lake, arguments, says):
    stream, first, last, reason = arguments
    with pytest.raises(SettingError, match=says):
        replay.plan(stream, first, last, reason, True, "r")
    assert lake.keys("") == []


def test_dates_on_which_nothing_landed_change_nothing(lake):
    found = replayed(dry_run=False)

    assert (changed(found), found["release"]) == ([], 0)


def test_without_dates_in_keys_an_object_that_moved_is_for_an_ingest_first(lake):
    undated = contract.load(ROOT / "contracts", "app_usage")
    path = undated.discovery.model_copy(update={"path": "events/*.json.gz"})
    undated = undated.model_copy(update={"discovery": path})
    for name, day in (("a", DAY), ("b", NEXT), ("c", NEXT)):
        lake.land(f"events/{name}.json.gz", lines(event(name)), evening(day))
    landing = Store(settings.from_environment().landing)
    a, b, c = (f"events/{name}.json.gz" for name in "abc")
    etags = {one: mark[0] for one, mark in landing.list("events/").items()}

    def dates(covered: dict, day: date) -> dict:
        found = extract.again(landing, undated, {day}, covered)
        return {one.pinned.key: one.landed_date for one in found}

    assert dates({DAY: {a: etags[a]}}, DAY) == {a: DAY}
    assert dates({DAY: {a: etags[a]}}, NEXT) == {b: NEXT, c: NEXT}
    moved = r"b.json.gz was read for landed date 2026-11-18 and now belongs to 2026-11-19: "
    with pytest.raises(SourceError, match=moved + "run `usage-export ingest"):
        dates({DAY: {a: etags[a], b: "older"}}, DAY)
    with pytest.raises(SourceError, match=moved + "give it back"):
        dates({DAY: {a: etags[a], b: etags[b]}}, DAY)
    with pytest.raises(SourceError, match="1 object read before, gone"):
        dates({DAY: {a: etags[a], "events/gone.json.gz": "x"}}, DAY)


def prepared() -> None:
    """All steps of a replay but the last."""
    found = replay.plan("app_usage", DAY, NEXT, REASON, False, "r")
    for batch in found["batches"]:
        replay.normalize("app_usage", "r", batch)
    for day in replay.arrivals("app_usage", "r"):
        replay.build(date.fromisoformat(day), "app_usage", "r")


def other_stream(lake: Lake) -> None:
    lake.land(f"s3logs/1/r/b/{DAY:%Y/%m/%d}/log", b"", evening(DAY))
    stages.ingest("s3_access", DAY, "other")


def stored(lake: Lake, pages: bool = True) -> dict[str, tuple]:
    """Every object outside of work areas, and when it was written; pages of validations are written anew."""
    found = lake.client.list_objects_v2(Bucket="lake", Prefix=f"{lake.name}/")["Contents"]
    without = ["_work", *([] if pages else ["_docs", "_validation"])]
    return {
        one["Key"]: (one["ETag"], one["LastModified"])
        for one in found
        if one["Key"].split("/")[1] not in without
    }


def differing(before: Release, after: Release) -> dict[tuple, tuple]:
    """Read from the two releases alone: (table, partition, state) -> hashes of the files."""
    found = {}
    old, new = before.body["tables"], after.body["tables"]
    for table in old.keys() | new.keys():
        for name in old.get(table, {}).keys() | new.get(table, {}).keys():
            was, now = (
                {k: v for k, v in body.get(table, {}).get(name, {}).items() if k not in PROVENANCE}
                for body in (old, new)
            )
            if was != now:
                state = "added" if not was else "removed" if not now else "changed"
                found[table, name, state] = (hashes_of(was), hashes_of(now))
    return found


def hashes_of(entry: dict) -> list[str]:
    return [file["sha256"] for file in entry.get("files", [])]


def hashes(sizes: dict | None) -> list[str]:
    return sizes["sha256"] if sizes else []


def files(lake: Lake) -> dict[str, dict]:
    return {
        table: {name: hashes_of(one) for name, one in entries.items()}
        for table, entries in lake.release().body["tables"].items()
    }


def totals(lake: Lake) -> dict[tuple, tuple]:
    found = lake.rows(
        "SELECT usage_date::VARCHAR AS day, meter, sum(quantity)::DECIMAL(38,9)::VARCHAR AS q, "
        "sum(events)::BIGINT AS n FROM usage_daily GROUP BY ALL"
    )
    return {(one["day"], one["meter"]): (one["q"], one["n"]) for one in found}
