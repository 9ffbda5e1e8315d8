"""Late, repeated, corrected and midnight records: where they count, and that nothing else moves."""

import io
from datetime import date, datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from etl import contract, extract, manifest, mapping, settings, stages
from etl.errors import SettingError
from etl.settings import ROOT
from etl.store import Store
from etl.tables import USAGE_ARRIVAL, USAGE_EVENT
from etl.work import begin
from tests.events import DAY, adjust, evening, event, key, lines, void

pytestmark = pytest.mark.usefixtures("quick_judge")
NEXT, LATER = date(2026, 11, 19), date(2026, 11, 21)


def test_a_file_that_lands_three_days_late_rebuilds_exactly_its_date(lake):
    lake.land(key(), lines(event("a"), event("b", at="2026-11-17T09:00:00Z")), evening())
    lake.land(key(NEXT, offset=2), lines(event("c", at="2026-11-19T09:00:00Z")), evening(NEXT))
    lake.run("app_usage", DAY, NEXT)
    before = lake.release()

    lake.land(key(LATER, offset=3), lines(event("d", 5)), evening(LATER))
    built = lake.run("app_usage", LATER)

    assert built == ["2026-11-18"]
    assert totals(lake) == {"2026-11-17": 1, "2026-11-18": 6, "2026-11-19": 1}
    for day in ("2026-11-17", "2026-11-19"):
        assert daily(lake.release(), day) == daily(before, day)
    (change,) = lake.rows("SELECT old_quantity, new_quantity, difference, cause FROM restatement")
    assert change == {
        "old_quantity": 1,
        "new_quantity": 6,
        "difference": 5,
        "cause": "arrivals landed on 2026-11-21",
    }


def test_a_file_that_lands_late_under_an_old_key_date_is_found_by_a_later_run(lake):
    lake.land(key(), lines(event("a"), event("b", at="2026-11-17T09:00:00Z")), evening())
    lake.run("app_usage", DAY)

    lake.land(key(offset=2), lines(event("d", 5)), evening(LATER))
    built = lake.run("app_usage", LATER)

    assert built == ["2026-11-18"]
    assert totals(lake) == {"2026-11-17": 1, "2026-11-18": 6}


@pytest.mark.parametrize("void_first", [True, False])
def test_a_void_cancels_its_target_on_either_side_of_it(lake, void_first):
    first, second = (void("a"), event("a", 7)) if void_first else (event("a", 7), void("a"))
    lake.land(key(), lines(first, event("b", 2)), evening())
    lake.run("app_usage", DAY)

    lake.land(key(NEXT, offset=2), lines(second), evening(NEXT))
    lake.run("app_usage", NEXT)

    assert totals(lake) == {"2026-11-18": 2}


def test_a_void_that_counts_on_another_date_rebuilds_the_date_of_its_target(lake):
    lake.land(key(), lines(event("a", 7), event("b", 2)), evening())
    lake.run("app_usage", DAY)

    lake.land(key(NEXT, offset=2), lines(void("a", at="2026-11-19T01:00:00Z")), evening(NEXT))
    built = lake.run("app_usage", NEXT)

    assert built == ["2026-11-18", "2026-11-19"]
    assert totals(lake) == {"2026-11-18": 2}


@pytest.mark.parametrize("event_last", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_a_void_too_far_from_its_target_leaves_the_adjusts_of_it_too(lake, event_last):
    """The adjust is within reach of both, so that its date sees the void as well as the target."""
    landed = {
        date(2026, 11, 17): event("a", 10, at="2026-10-14T09:00:00Z"),
        date(2026, 10, 25): adjust("a", -4, at="2026-10-25T09:00:00Z"),
        date(2026, 11, 20): void("a", at="2026-11-20T09:00:00Z"),
    }
    for day, one in landed.items():
        lake.land(key(day), lines(one), evening(day))

    for day in sorted(landed, key=lambda day: (event_last and day.day == 17, day)):
        lake.run("app_usage", day)

    assert totals(lake) == {"2026-10-14": 10, "2026-10-25": -4}


def test_a_second_void_of_the_same_record_takes_nothing_more(lake):
    lake.land(
        key(), lines(event("a", 7), void("a", "v1"), void("a", "v2"), event("b", 2)), evening()
    )

    lake.run("app_usage", DAY)

    assert totals(lake) == {"2026-11-18": 2}
    (row,) = lake.rows(
        "SELECT count(*) FILTER (role = 'voided') AS voided, count(*) AS n FROM correction"
    )
    assert row == {"voided": 1, "n": 3}


def test_a_void_that_conflicts_with_an_earlier_record_cancels_nothing(lake):
    lake.land(key(), lines(event("a", 7), event("b", 2), void("b", "v1")), evening())
    lake.land(key(NEXT, offset=3), lines(void("a", "v1")), evening(NEXT))

    lake.run("app_usage", DAY, NEXT)

    assert totals(lake) == {"2026-11-18": 7}
    assert lake.rows("SELECT class FROM duplicate") == [{"class": "conflict"}]


def test_a_void_that_loses_its_identity_to_a_third_date_gives_its_target_back(lake):
    """The void counts on one date, its target on another, and what came first under its id on a third."""
    lake.land(
        key(NEXT, offset=1),
        lines(event("a", 7), void("a", "v1", at=f"{NEXT}T01:00:00Z")),
        evening(NEXT),
    )
    lake.run("app_usage", NEXT)
    assert totals(lake) == {}

    lake.land(key(), lines(event("v1", 3, at="2026-11-17T09:00:00Z")), evening())
    built = lake.run("app_usage", DAY)

    assert built == ["2026-11-17", "2026-11-18", "2026-11-19"]
    assert totals(lake) == {"2026-11-17": 3, "2026-11-18": 7}


@pytest.mark.parametrize("claim_last", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_a_void_whose_identity_came_first_far_from_its_target_cancels_nothing(lake, claim_last):
    """The void reaches what came first under its id, and its target: these two do not reach each other."""
    landed = {
        date(2026, 11, 17): event("v1", 3, at="2026-10-14T09:00:00Z"),
        date(2026, 11, 18): void("a", "v1", at="2026-11-18T09:00:00Z"),
        date(2026, 11, 20): event("a", 7, at="2026-11-20T09:00:00Z"),
    }
    for day, one in landed.items():
        lake.land(key(day), lines(one), evening(day))

    for day in sorted(landed, key=lambda day: (claim_last and day.day == 17, day)):
        lake.run("app_usage", day)

    assert totals(lake) == {"2026-10-14": 3, "2026-11-20": 7}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_adjust_counts_signed_before_or_after_its_target(lake, order):
    parts = (event("a", 7), adjust("a", -3))
    lake.land(key(), lines(parts[order[0]]), evening())
    lake.land(key(NEXT, offset=1), lines(parts[order[1]]), evening(NEXT))

    lake.run("app_usage", DAY, NEXT)

    assert totals(lake) == {"2026-11-18": 4}


def test_an_adjust_of_a_voided_record_is_cancelled_with_it(lake):
    lake.land(key(), lines(event("a", 7), adjust("a", -3), void("a"), event("b", 2)), evening())

    lake.run("app_usage", DAY)

    assert totals(lake) == {"2026-11-18": 2}


def test_the_first_delivery_counts_and_every_repeat_is_classed(lake):
    lake.land(key(), lines(event("a", 7), event("b", 2), event("c", 3)), evening())
    again = (event("a", 7), event("b", 2, at="2026-11-18T12:00:00Z"), event("c", 4))
    lake.land(key(NEXT, offset=3), lines(*again), evening(NEXT))

    lake.run("app_usage", DAY, NEXT)

    assert totals(lake) == {"2026-11-18": 12}
    found = lake.rows(
        "SELECT class, quantity, kept_quantity, raw_line, kept_line FROM duplicate ORDER BY raw_line"
    )
    assert [row["class"] for row in found] == ["re_delivery", "re_stamped", "conflict"]
    assert (found[2]["quantity"], found[2]["kept_quantity"]) == (Decimal(4), Decimal(3))
    assert [row["kept_line"] for row in found] == [1, 2, 3]


def test_a_retry_stamped_on_the_next_day_does_not_count_there(lake):
    lake.land(key(), lines(event("a", 7)), evening())
    lake.land(key(NEXT, offset=1), lines(event("a", 7, at="2026-11-19T00:10:00Z")), evening(NEXT))

    lake.run("app_usage", DAY, NEXT)

    assert totals(lake) == {"2026-11-18": 7}
    (row,) = lake.rows(
        "SELECT class, usage_date::VARCHAR AS day, kept_usage_date::VARCHAR AS kept FROM duplicate"
    )
    assert row == {"class": "re_stamped", "day": "2026-11-19", "kept": "2026-11-18"}


def test_a_delivery_that_turns_out_to_be_the_first_moves_the_count(lake):
    """The older landed date is read later: its delivery is first, so the other date gives the record up."""
    lake.land(key(NEXT, offset=1), lines(event("a", 7, at="2026-11-19T00:10:00Z")), evening(NEXT))
    lake.run("app_usage", NEXT)
    assert totals(lake) == {"2026-11-19": 7}

    lake.land(key(), lines(event("a", 7)), evening())
    built = lake.run("app_usage", DAY)

    assert built == ["2026-11-18", "2026-11-19"]
    assert totals(lake) == {"2026-11-18": 7}


def test_another_type_under_the_same_identity_is_a_conflict_not_more_usage(lake):
    lake.land(
        key(), lines(event("a", 7), event("a", 7, type="com.example.tokens.used.v1")), evening()
    )

    lake.run("app_usage", DAY)

    assert lake.rows("SELECT meter, quantity FROM usage_daily") == [
        {"meter": "api_calls", "quantity": 7}
    ]
    assert lake.rows("SELECT class, meter, kept_quantity FROM duplicate") == [
        {"class": "conflict", "meter": "llm_tokens", "kept_quantity": None}
    ]


def test_midnight_belongs_to_the_day_that_begins_in_utc(lake):
    times = (
        "2026-11-18T23:59:59.999999Z",
        "2026-11-19T00:00:00Z",
        "2026-11-19T01:30:00+05:30",
        "2026-11-18T23:00:00-02:00",
    )
    lake.land(
        key(NEXT), lines(*(event(f"m{n}", at=at) for n, at in enumerate(times))), evening(NEXT)
    )

    lake.run("app_usage", NEXT)

    assert totals(lake) == {"2026-11-18": 2, "2026-11-19": 2}


def test_a_clock_that_runs_ahead_is_clamped_to_delivery(lake):
    lake.land(key(), lines(event("a", at="2026-11-20T10:00:00Z")), datetime(2026, 11, 18, 12))

    lake.run("app_usage", DAY)

    (row,) = lake.rows(
        "SELECT usage_date::VARCHAR AS day, time_quality, event_time::VARCHAR AS at FROM usage_event"
    )
    assert row == {"day": "2026-11-18", "time_quality": "clamped", "at": "2026-11-18 12:00:00"}


def test_what_is_older_than_the_window_is_quarantined_with_its_quantity(lake):
    lake.land(key(), lines(event("old", 9, at="2026-10-01T10:00:00Z"), event("a")), evening())

    lake.run("app_usage", DAY)

    assert totals(lake) == {"2026-11-18": 1}
    (row,) = lake.rows(
        "SELECT reason, quantities['api_calls Requests'] AS quantity FROM quarantine"
    )
    assert (row["reason"], Decimal(row["quantity"])) == ("too_late", Decimal(9))


def test_a_record_that_was_quarantined_is_counted_once_it_is_delivered_right(lake):
    lake.land(key(), lines(event("a", "much"), event("b", 1)), evening())
    lake.run("app_usage", DAY)
    assert totals(lake) == {"2026-11-18": 1}

    lake.land(key(NEXT, offset=2), lines(event("a", 7)), evening(NEXT))
    lake.run("app_usage", NEXT)

    assert totals(lake) == {"2026-11-18": 8}
    (row,) = lake.rows("SELECT reason FROM quarantine")
    assert row["reason"] == "quantity_not_a_number"


def test_an_object_that_is_replaced_takes_its_old_rows_along(lake):
    early = void("x", at="2026-11-17T10:00:00Z")  # all that counts on its date, which has no event
    lake.land(key(), lines(event("a", 7), event("b", 1), early), evening())
    lake.run("app_usage", DAY)

    lake.land(key(), lines(event("a", 7), event("c", 4)), evening())
    for day in lake.ingest("app_usage", DAY)["usage_dates"]:
        assert stages.build_streams(date.fromisoformat(day)) == ["app_usage"]
        lake.build("app_usage", date.fromisoformat(day))

    assert totals(lake) == {"2026-11-18": 11}
    assert lake.rows("FROM correction") == [] and lake.release().pending == {}
    assert lake.rows("SELECT source_event_id AS id FROM usage_event ORDER BY 1") == [
        {"id": "a"},
        {"id": "c"},
    ]


def test_a_tenant_named_as_the_unattributed_are_stops_nothing(lake):
    lake.land(key(), lines(event("a", 2, subject="UNATTRIBUTED"), event("b", 3)), evening())

    lake.run("app_usage", DAY)

    assert totals(lake) == {"2026-11-18": 5}
    (row,) = lake.rows("SELECT attribution FROM usage_event WHERE tenant_id = 'UNATTRIBUTED'")
    assert row == {"attribution": "none"}


def test_a_backfill_changes_nothing_where_dates_share_an_identity(lake):
    lake.land(key(), lines(event("k", 7)), evening())
    repeat = event("k", 7, at=f"{NEXT}T00:10:00Z")
    lake.land(key(NEXT, offset=1), lines(repeat), evening(NEXT))
    lake.run("app_usage", DAY, NEXT)
    lake.land(key(NEXT, offset=2), lines(event("n", at=f"{NEXT}T01:00:00Z")), evening(NEXT, 30))
    lake.run("app_usage", NEXT)
    before = lake.release()

    lake.run("app_usage", DAY, NEXT)

    assert lake.release() == before


def test_another_pseudonym_key_is_refused(lake, monkeypatch):
    lake.land(key(), lines(event("a")), evening())
    lake.run("app_usage", DAY)
    monkeypatch.setenv("USAGE_EXPORT_PII_KEY", "f" * 32)

    with pytest.raises(SettingError, match="USAGE_EXPORT_PII_KEY is not the key"):
        lake.ingest("app_usage", DAY)


def test_without_dates_in_keys_a_replaced_object_moves_and_takes_no_other_along(lake):
    """Landed date is that of arrival: b was read on the first day and is replaced on the second."""
    undated = contract.load(ROOT / "contracts", "app_usage")
    path = undated.discovery.model_copy(update={"path": "events/*.json.gz"})
    undated = undated.model_copy(update={"discovery": path})
    for name, day in (("a", DAY), ("b", NEXT), ("c", NEXT)):
        lake.land(f"events/{name}.json.gz", lines(event(name)), evening(day))
    landing = Store(settings.from_environment().landing)
    etags = {one: mark[0] for one, mark in landing.list("events/").items()}
    names = [f"events/{name}.json.gz" for name in "abc"]
    covered = {
        DAY: {names[0]: etags[names[0]], names[1]: "older"},
        NEXT: {names[2]: etags[names[2]]},
    }

    found = extract.extract(landing, undated, NEXT, covered)

    assert (found.dates, found.unread) == ({DAY, NEXT}, [])
    assert {one.pinned.key: one.landed_date for one in found.objects} == {
        names[0]: DAY,
        names[1]: NEXT,
        names[2]: NEXT,
    }


def test_a_truncated_object_is_refused_whole_and_read_once_it_is_repaired(lake):
    whole = lines(*(event(f"e{n}") for n in range(50)))
    lake.land(key(), whole[: len(whole) // 2], evening())
    lake.run("app_usage", DAY)
    assert totals(lake) == {}
    assert lake.rows("SELECT reason, raw_line FROM quarantine") == [
        {"reason": "object_truncated", "raw_line": 0}
    ]

    lake.land(key(), whole, evening())
    lake.run("app_usage", DAY)

    assert totals(lake) == {"2026-11-18": 50}
    assert lake.rows("FROM quarantine") == []


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (void("a"), adjust("a", -3, "v1")),
        pytest.param(adjust("a", -3, "v1"), void("a"), marks=pytest.mark.soak),
    ],
)
def test_a_correction_of_another_kind_under_its_old_identity_moves_its_target(lake, first, then):
    """Its object was replaced, arrival and all else is as before: only the kind tells that the target moved."""
    lake.land(key(), lines(event("a", 10)), evening())
    lake.run("app_usage", DAY)
    counts = {}
    for one in (first, then):
        body = lines(one | {"time": "2026-11-19T09:00:00Z"})
        lake.land(key(NEXT, offset=1), body, evening(NEXT))
        lake.run("app_usage", NEXT)
        counts[one["type"]] = totals(lake)

    assert counts[void("a")["type"]] == {}
    assert counts[adjust("a", 0)["type"]] == {"2026-11-18": 10, "2026-11-19": -3}


def totals(lake) -> dict[str, Decimal]:
    found = lake.rows(
        "SELECT usage_date::VARCHAR AS day, sum(quantity)::DECIMAL(38,9) AS q FROM usage_daily GROUP BY ALL ORDER BY 1"
    )
    return {row["day"]: row["q"] for row in found}


def daily(release, day: str) -> dict:
    return release.partitions("usage_daily", usage_date=day)


def test_files_hold_their_rows_in_the_order_of_their_table_whatever_was_read_first(
    lake, monkeypatch
):
    monkeypatch.setattr(manifest, "BATCH_OBJECTS", 1)
    late, early = (
        [event(f"{name}{at}{n}", at=at) for n in range(3) for at in ("2026-11-18T09:00:00Z", other)]
        for name, other in (("a", "2026-11-19T00:00:00Z"), ("b", "2026-11-18T00:00:00Z"))
    )
    lake.land(key(offset=1), lines(*late), evening(minute=9))
    lake.land(key(offset=2), lines(*early, *late[:2]), evening(minute=1))
    lake.land(key(NEXT, offset=3), lines(event("c"), late[4], event("d")), evening())
    lake.run("app_usage", DAY, NEXT)

    expect_order(lake, USAGE_ARRIVAL, USAGE_EVENT)
    assert lake.rows("FROM usage_event EXCEPT FROM usage_arrival") == []
    (count,) = lake.rows("SELECT count(*) AS n FROM usage_event")
    assert count["n"] == len(late) + len(early) + 2


def test_a_source_that_repeats_identities_in_an_object_keeps_them_all_and_none_from_another(
    lake, tmp_path, monkeypatch
):
    text = (ROOT / "contracts/app_usage/1.0.0.yaml").read_text()
    (tmp_path / "app_usage").mkdir()
    (tmp_path / "app_usage/1.0.0.yaml").write_text(
        text.replace("scope: global", "scope: object_first")
    )
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(tmp_path))
    text = mapping.query(contract.load(tmp_path, "app_usage"))
    uncorrected = f"SELECT * EXCLUDE (corrects_key) FROM ({text})"
    monkeypatch.setattr(mapping, "query", lambda _: uncorrected)
    lake.land(key(offset=1), lines(event("a"), event("b"), event("a"), event("c")), evening())
    lake.land(key(offset=2), lines(event("a"), event("a"), event("b"), event("a")), evening())
    lake.run("app_usage", DAY)

    found = lake.rows("SELECT source_event_id AS id, raw_object_key AS key FROM usage_event")
    assert sorted((row["id"], row["key"]) for row in found) == [
        *[("a", key(offset=1))] * 2,
        ("a", key(offset=2)),
        ("b", key(offset=1)),
        ("c", key(offset=1)),
    ]
    expect_order(lake, USAGE_ARRIVAL, USAGE_EVENT)


def test_a_plan_in_another_order_gives_the_same_files(lake):
    """As one is that was made before an upgrade and is collected after it."""
    lake.land(key(offset=1), lines(event("late")), evening(minute=9))
    lake.land(key(offset=2), lines(event("early")), evening(minute=1))
    stages.extract("app_usage", DAY, "run")
    work = begin("app_usage", "run")
    plan = work.load("manifest.json")
    work.save(plan | {"objects": plan["objects"][::-1]}, "manifest.json")
    stages.normalize("app_usage", "run", 0)
    stages.collect("app_usage", "run")
    stages.validate_arrivals("app_usage", "run")
    stages.publish_arrivals("app_usage", "run")

    expect_order(lake, USAGE_ARRIVAL)


def expect_order(lake, *tables) -> None:
    for table in tables:
        entries = lake.release().partitions(table.name).values()
        assert entries
        for entry in entries:
            (file,) = entry["files"]
            rows = pq.read_table(io.BytesIO(lake.read(file["key"]))).to_pylist()
            assert rows == sorted(rows, key=lambda row: [row[name] for name in table.order])
