"""usage/usage_arrival: a mapped measure, completed to a canonical row or refused."""

from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest

from etl import mapping, verdict
from tests import models
from tests.models import DAY, EVENING, NEXT, NOON, key_of, measure, quantity, record

AHEAD = EVENING + timedelta(minutes=5)


def arrived(records, measures, rules=("event", "none"), labels=("feature",)) -> list[dict]:
    mapped = models.rows_like(mapping.MAPPED, measures)
    given = {
        "mapped": mapped,
        "measure": models.with_lineage(records, mapped),
        "meter_unit": pa.table({"meter": ["api_calls", "bytes"], "unit": ["Requests", "Bytes"]}),
        "attribution_rule": pa.table({"rule": list(rules)}),
    }
    rows = models.run(
        "usage/usage_arrival",
        given,
        stream="app_usage",
        schema_version="1.0.0",
        late_window_days=35,
        allowed_labels=list(labels),
    )
    return sorted(rows, key=lambda row: (row["record_id"], row["meter"] or ""))


def only(**fields) -> dict:
    (row,) = arrived([record()], [measure(**fields)])
    return row


def test_what_a_source_leaves_out_is_completed():
    row = only(labels=[("feature", "core")], trace_id="")

    assert row["reject_reason"] is None
    assert row["idempotency_key"] != row["record_key"] == key_of("k0")
    assert (row["stream"], row["schema_version"]) == ("app_usage", "1.0.0")
    assert (row["record_kind"], row["sample_weight"], row["derivation"]) == ("usage", 1, "event")
    assert (row["period_start"], row["period_end"], row["usage_date"]) == (NOON, NOON, DAY)
    assert (row["time_quality"], row["trace_id"]) == ("source", None)
    assert row["ingested_at"] == datetime(2026, 11, 19)
    assert row["run_id"] == "app_usage/2026-11-18"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"reject_reason": "its_own"}, "its_own"),
        ({"meter": None}, "no_measure"),
        ({"meter": None, "reject_reason": "unknown_type"}, "unknown_type"),
        ({"event_time": None}, "no_time"),
        ({"source": None}, "no_source"),
        ({"quantity": None}, "no_quantity"),
        ({"sample_weight": "0"}, "sample_weight"),
        ({"sample_weight": "-1"}, "sample_weight"),
        ({"sample_weight": "1.5"}, "sample_weight"),
        ({"sample_weight": "9999999999"}, "sample_weight"),
        ({"record_kind": "refund"}, "unknown_kind"),
        ({"quantity": -1}, "negative_quantity"),
        ({"record_kind": "adjust", "quantity": -1}, "no_target"),
        ({"record_kind": "void", "meter": "void", "quantity": 0}, "no_target"),
        ({"record_kind": "void", "meter": "void", "quantity": 5}, "void_with_quantity"),
        ({"quantity": 10**20}, "quantity_too_large"),
        ({"quantity": 10**12, "sample_weight": "999999999"}, "quantity_too_large"),
        ({"record_kind": "usage", "meter": "other"}, "unknown_meter"),
        ({"record_kind": "usage", "unit": "Bytes"}, "unknown_meter"),
        ({"record_kind": "usage", "unit": None}, "unknown_meter"),
        ({"attribution": "label"}, "unknown_attribution"),
        ({"attribution": None}, "unknown_attribution"),
        ({"labels": [("city", "x")]}, "labels_not_allowed"),
        ({"period_end": NOON - timedelta(seconds=1)}, "period_reversed"),
        ({"event_time": EVENING - timedelta(days=35, microseconds=1)}, "too_late"),
        (
            {
                "event_time": EVENING - timedelta(days=36),
                "period_start": NOON,
                "period_end": NOON,
            },
            "too_late",
        ),
        ({"tenant_id": "jane@example.com"}, "personal_data"),
        ({"labels": [("feature", "a\n192.0.2.7")]}, "personal_data"),
        ({"sku_id": "seat of jane@example.com"}, "personal_data"),
        ({"derivation": "jane@example.com"}, "personal_data"),
        ({"trace_id": "jane@example.com"}, "personal_data"),
        ({"principal_hash": "jane@example.com"}, "personal_data"),
        (
            {
                "record_kind": "void",
                "meter": "jane@example.com",
                "quantity": 0,
                "corrects_key": key_of("x"),
            },
            "personal_data",
        ),
    ],
)
def test_a_measure_is_refused_with_the_reason(fields, reason):
    assert only(**fields)["reject_reason"] == reason


def test_a_void_has_a_unit_too():
    void = {"record_kind": "void", "meter": "void", "quantity": 0, "corrects_key": key_of("x")}
    assert only(**void, unit=None)["reject_reason"] == "unknown_meter"


@pytest.mark.parametrize("fields", [{"meter": "other"}, {"unit": "Bytes"}, {"unit": None}])
def test_an_unknown_meter_is_refused_also_where_the_source_names_no_kind(fields):
    assert only(record_kind=None, **fields)["reject_reason"] == "unknown_meter"


@pytest.mark.parametrize(
    "fields",
    [
        {"quantity": 0},
        {"sample_weight": "999999999"},
        {"record_kind": "adjust", "quantity": -1, "corrects_key": key_of("x")},
        {"record_kind": "void", "meter": "void", "quantity": 0, "corrects_key": key_of("x")},
        {"event_time": EVENING - timedelta(days=35)},
        {"event_time": AHEAD},
        {"tenant_id": 'O\'Brien\n"x"; DROP TABLE t --'},
        {"tenant_id": ""},
        {"labels": []},
        {"labels": None},
    ],
)
def test_what_lies_on_the_border_is_accepted(fields):
    assert only(**fields)["reject_reason"] is None


def test_a_record_without_a_tenant_is_unattributed_by_no_rule():
    row = only(tenant_id=None, attribution="event")

    assert (row["tenant_id"], row["attribution"]) == ("UNATTRIBUTED", "none")
    assert row["reject_reason"] is None


def test_labels_are_sorted_and_those_without_a_value_left_out():
    given = measure(labels=[("b", "2"), ("c", None), ("a", "1")])
    (row,) = arrived([record()], [given], labels=("a", "b"))

    assert (list(row["labels"].items()), row["reject_reason"]) == ([("a", "1"), ("b", "2")], None)


def test_more_than_sixteen_labels_are_refused():
    names = [f"l{n:02}" for n in range(17)]
    (row,) = arrived([record()], [measure(labels=[(n, "x") for n in names])], labels=names)

    assert row["reject_reason"] == "labels_not_allowed"


def test_a_record_is_refused_whole():
    reasons = [None, "no_quantity", None, "too_late", "no_quantity", None]
    rows = pa.table({"record_id": [0, 0, 1, 2, 2, 2], "reject_reason": reasons})

    whole = verdict.whole(rows)["reject_reason"].to_pylist()
    assert whole == ["no_quantity", "no_quantity", None, *["no_quantity"] * 3]


def test_a_record_of_which_nothing_is_refused_is_kept_whole():
    rows = pa.table({"record_id": [0, 0], "reject_reason": pa.nulls(2, pa.string())})

    assert verdict.whole(rows)["reject_reason"].to_pylist() == [None, None]


def test_a_meter_that_comes_twice_in_a_record_refuses_it():
    rows = arrived([record()], [measure(quantity=1), measure(quantity=2)])

    assert [row["reject_reason"] for row in rows] == ["repeated_meter"] * 2


def test_a_record_without_measures_or_identity_is_one_refused_row():
    records = [record(), record(1, parse_reason="not_json"), record(2, record_key=None)]
    rows = arrived(records, [measure(2)])

    assert [row["reject_reason"] for row in rows] == ["no_measure", "not_json", "no_identity"]


def test_a_clock_more_than_five_minutes_ahead_is_clamped_with_its_period_kept_long():
    late = AHEAD + timedelta(microseconds=1)
    row = only(event_time=late, period_start=late, period_end=late + timedelta(hours=1))

    assert (row["time_quality"], row["event_time"], row["usage_date"]) == ("clamped", EVENING, DAY)
    assert (row["period_start"], row["period_end"]) == (EVENING, EVENING + timedelta(hours=1))


def test_a_period_that_begins_after_its_delivery_is_clamped_whatever_the_event_time():
    start = datetime(2199, 1, 1)
    row = only(period_start=start, period_end=start + timedelta(hours=1))

    assert (row["time_quality"], row["event_time"], row["usage_date"]) == ("clamped", NOON, DAY)
    assert (row["period_start"], row["period_end"]) == (EVENING, EVENING + timedelta(hours=1))


@pytest.mark.parametrize(
    ("moment", "day"),
    [(datetime(2026, 11, 18, 23, 59, 59, 999999), DAY), (datetime(2026, 11, 19), NEXT)],
)
def test_midnight_belongs_to_the_day_that_begins(moment, day):
    (row,) = arrived([record(delivered_at=datetime(2026, 11, 20))], [measure(event_time=moment)])

    assert row["usage_date"] == day


def test_a_clock_five_minutes_ahead_is_believed():
    assert (only(event_time=AHEAD)["time_quality"], only()["time_quality"]) == ("source", "source")
    assert only(event_time=AHEAD)["event_time"] == AHEAD


def test_the_day_is_that_of_the_period_start():
    row = only(event_time=NOON, period_start=datetime(2026, 11, 17, 23), period_end=NOON)

    assert (row["usage_date"], row["reject_reason"]) == (date(2026, 11, 17), None)


def test_a_quantity_passes_unchanged_to_its_last_digit():
    largest = "9" * 29 + "." + "9" * 9

    assert only(quantity=largest)["quantity"] == quantity(largest)


def test_a_void_carries_no_quantity_of_its_own():
    row = only(record_kind="void", meter="void", quantity=5, corrects_key=key_of("x"))

    assert row["reject_reason"] is not None or row["quantity"] == 0
