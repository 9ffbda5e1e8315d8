"""report/statement_*, reconcile/void_open: each question of the statement over literal rows of its tables."""

from datetime import timedelta
from decimal import Decimal

import pytest

from etl import tables
from tests.models import (
    DAY,
    EVENING,
    NEXT,
    NOON,
    adjust,
    arrival,
    arrivals,
    daily,
    manifest,
    quantity,
    rows_of,
    run,
)

EGRESS = {"meter": "bytes", "unit": "Bytes"}


def asked(question: str, table: tables.Table, rows: list[dict]) -> list[dict]:
    return run(question, {table.name: rows_of(table, rows)}, day=DAY)


def arrived(*rows) -> list[dict]:
    return run("report/statement_arrival", {"usage_arrival": arrivals(rows)}, day=DAY)


def repeat(number=1, **fields) -> dict:
    base = {"class": "re_delivery", "quantity": Decimal(number), "kept_quantity": Decimal(1)}
    return arrival(**fields) | {"kept_usage_date": DAY} | base | fields


def correction(name: str, role: str, corrects: str | None = None, **fields) -> dict:
    return arrival(name, role=role, corrects=corrects, **fields)


def restated(old, new, **fields) -> dict:
    quantities = {"old_quantity": Decimal(old), "new_quantity": Decimal(new)}
    base = {"replaced": 1, "cause": "late", "difference": Decimal(new) - Decimal(old)}
    return daily() | quantities | base | fields


def refused(reason: str, **fields) -> dict:
    return {"stream": "app_usage", "landed_date": DAY, "reason": reason} | fields


def test_records_are_counted_once_and_measures_each():
    rows = [arrival("a"), arrival("a", **EGRESS), arrival("b", raw_line=2)]
    rows += [arrival("c", raw_object_key="o2"), arrival("d", usage_date=NEXT)]
    (row,) = arrived(*rows)

    assert (row["stream"], row["measures"], row["records"]) == ("app_usage", 4, 3)
    assert (row["late"], row["sampled"], row["clamped"], row["adjusts"]) == (0, 0, 0, 0)


def test_what_is_special_about_a_record_is_counted_by_record():
    special = {"sample_weight": 2, "time_quality": "clamped"}
    late = [arrival("a", raw_line=2, **more, **special) for more in ({}, EGRESS)]
    late = [row | {"delivered_at": EVENING.replace(day=19, hour=0)} for row in late]
    (row,) = arrived(arrival("b"), adjust("a", 1, raw_line=3), *late)

    assert [row[name] for name in ("late", "sampled", "clamped", "adjusts")] == [1, 1, 1, 1]


def test_an_arrival_is_late_from_the_first_moment_of_the_next_day():
    moments = [EVENING.replace(minute=59, second=59), EVENING.replace(day=19, hour=0), NOON]
    rows = [arrival(str(n), raw_line=n, delivered_at=at) for n, at in enumerate(moments)]

    assert arrived(*rows)[0]["late"] == 1


def test_streams_are_told_apart_and_a_day_without_arrivals_has_no_row():
    assert [row["stream"] for row in arrived(arrival(), arrival(stream="s3"))] == [
        "app_usage",
        "s3",
    ]
    assert arrived(arrival(usage_date=NEXT)) == []


def test_every_contract_version_that_parsed_the_day_is_named():
    (row,) = arrived(arrival(schema_version="1.9.0"), arrival(schema_version="1.10.0"))

    assert row["contract_version"] == "1.10.0, 1.9.0"


def test_a_change_is_the_last_restatement_of_each_stream_summed_over_tenants():
    rows = [
        restated(1, 9, replaced=3),
        restated(9, 10, replaced=10),
        restated(0, 2, replaced=10, tenant_id="t-2"),
        restated(5, 4, replaced=4, stream="s3"),
        restated(5, 4, replaced=11, usage_date=NEXT),
    ]
    totals = [daily(10), daily(5, tenant_id="t-2"), daily(99, usage_date=NEXT)]
    inputs = {
        "restatement": rows_of(tables.RESTATEMENT, rows),
        "usage_daily": rows_of(tables.USAGE_DAILY, totals),
    }
    found = run("report/statement_change", inputs, day=DAY)

    assert [(row["stream"], row["replaced"]) for row in found] == [("app_usage", 10), ("s3", 4)]
    assert [found[0][name] for name in ("old_quantity", "new_quantity", "difference")] == [
        "12.000000000",
        "15.000000000",
        "3.000000000",
    ]


def test_a_conflicting_record_is_counted_once_whatever_it_measures():
    rows = [
        repeat(**{"class": "conflict"}),
        repeat(30, **{"class": "conflict"}, **EGRESS),
        repeat(raw_line=2),
        repeat(**{"class": "conflict"}, usage_date=NEXT),
    ]

    found = asked("report/statement_conflict", tables.DUPLICATE, rows)

    assert found == [{"stream": "app_usage", "records": 1}]


def test_voids_are_matched_with_targets_on_any_date():
    rows = [
        correction("a", "voided"),
        correction("a", "voided", **EGRESS),
        correction("v1", "void", "a"),
        correction("v2", "void", "elsewhere"),
        correction("v3", "void", "nobody"),
        correction("v4", "void", "v3"),
        correction("elsewhere", "voided", usage_date=NEXT),
    ]
    (row,) = asked("report/statement_correction", tables.CORRECTION, rows)

    assert (row["records_voided"], row["voids"], row["voids_unmatched"]) == (1, 4, 2)


@pytest.mark.parametrize(
    ("rows", "streams"),
    [
        ([correction("v", "void", "a"), correction("a", "voided", usage_date=NEXT)], []),
        ([correction("v", "void", "a"), correction("b", "voided")], ["app_usage"]),
        ([correction("v", "void", "a", usage_date=NEXT)], []),
        ([correction("a", "voided")], []),
    ],
)
def test_a_void_is_open_until_its_target_is_at_hand(rows, streams):
    found = asked("reconcile/void_open", tables.CORRECTION, rows)

    assert [row["stream"] for row in found] == streams


def test_repeats_are_summed_by_class_with_their_difference_to_what_was_kept():
    rows = [
        repeat(1),
        repeat(1, raw_line=2),
        repeat(5, raw_line=3, **{"class": "conflict"}),
        repeat(7, raw_line=4, kept_quantity=None, **{"class": "conflict"}),
        repeat(1, usage_date=NEXT),
    ]
    found = asked("report/statement_duplicate", tables.DUPLICATE, rows)
    names = ("class", "records", "quantity", "difference_to_kept")

    assert [tuple(row[name] for name in names) for row in found] == [
        ("conflict", 2, "12.000000000", "11.000000000"),
        ("re_delivery", 2, "2.000000000", "0.000000000"),
    ]


def test_what_landed_is_counted_by_object_and_record():
    rows = [
        manifest(0, 5, records_accepted=4, records_refused=1),
        manifest(None, 3),
        manifest(9, 0, outcome="object_truncated"),
        manifest(20, 7, landed_date=NEXT),
        manifest(None, 2, stream="s3"),
    ]
    app, other = asked("report/statement_landed", tables.MANIFEST, rows)

    assert (app["objects"], app["objects_refused"]) == (3, 1)
    assert (app["records"], app["accepted"], app["quarantined"]) == (8, 7, 1)
    assert (app["sequenced"], other["sequenced"]) == (5, 0)


def test_refused_records_are_counted_by_reason():
    rows = [refused("no_time"), refused("no_time"), refused("too_late")]
    rows += [refused("no_time", landed_date=NEXT), refused("no_time", stream="s3")]
    found = asked("report/statement_quarantine", tables.QUARANTINE, rows)

    assert [(row["stream"], row["reason"], row["n"]) for row in found] == [
        ("app_usage", "no_time", 2),
        ("app_usage", "too_late", 1),
        ("s3", "no_time", 1),
    ]


def test_totals_are_exact_text_by_meter_and_unit():
    rows = [
        daily("99999999999999999999.000000001", events=2),
        daily("0.000000001", tenant_id="UNATTRIBUTED", events=3, sampled_events=1),
        daily("0.5", sku_id="s", weighted_quantity=quantity("1")),
        daily(30, usage_date=NEXT),
    ]
    (row,) = asked("report/statement_total", tables.USAGE_DAILY, rows)

    assert row["quantity"] == "99999999999999999999.500000002"
    assert row["weighted_quantity"] == "100000000000000000000.000000002"
    assert (row["events"], row["sampled_events"]) == (6, 1)
    assert (row["tenants"], row["unattributed_events"]) == (1, 3)


def delays(*rows) -> dict[tuple, int]:
    found = run("report/statement_delay", {"usage_arrival": arrivals(rows)}, day=DAY)
    return {
        (row["stream"], row["from_seconds"], row["to_seconds"]): row["records"] for row in found
    }


def after(seconds: float, line: int, **fields) -> dict:
    moment = fields.get("event_time", NOON) + timedelta(seconds=seconds)
    return arrival(f"k{line}", raw_line=line, delivered_at=moment, **fields)


def test_arrivals_are_counted_by_their_delay_and_every_step_is_there():
    edges = (0, 899.999999, 900, 3600, 86399, 86400, 604799, 604800, 9e6)
    found = delays(*(after(seconds, n) for n, seconds in enumerate(edges)))

    assert list(found.items()) == [
        (("app_usage", 0, 900), 2),
        (("app_usage", 900, 3600), 1),
        (("app_usage", 3600, 21600), 1),
        (("app_usage", 21600, 86400), 1),
        (("app_usage", 86400, 172800), 1),
        (("app_usage", 172800, 604800), 1),
        (("app_usage", 604800, None), 2),
    ]


def test_a_delay_is_one_records_and_none_where_the_clock_ran_ahead():
    several = [after(60, 1), after(60, 1, **EGRESS)]
    found = delays(*several, after(-299, 2), after(-0.5, 3), after(60, 4, usage_date=NEXT))

    assert found["app_usage", 0, 900] == 3
    assert sum(found.values()) == 3
    assert delays(after(60, 1, usage_date=NEXT)) == {}


def by_tenant(*rows, top: int) -> list[tuple]:
    given = {"usage_daily": rows_of(tables.USAGE_DAILY, list(rows))}
    found = run("report/statement_tenant", given, day=DAY, top=top)
    return [(row["tenant_id"], row["tenants"], row["quantity"], row["events"]) for row in found]


def test_the_largest_tenants_are_named_and_all_others_are_one_row():
    found = by_tenant(
        daily(5, tenant_id="b"),
        daily(5, tenant_id="a"),
        daily("0.000000001", tenant_id="a", sku_id="s", events=2),
        daily(-9, tenant_id="credit"),
        daily(1, tenant_id="small-1"),
        daily(2, tenant_id="small-2"),
        daily(99, tenant_id="UNATTRIBUTED"),
        daily(99, tenant_id="b", usage_date=NEXT),
        top=3,
    )

    assert found == [
        ("credit", 1, "-9.000000000", 1),
        ("a", 1, "5.000000001", 3),
        ("b", 1, "5.000000000", 1),
        (None, 2, "3.000000000", 2),
        ("UNATTRIBUTED", 1, "99.000000000", 1),
    ]


def test_tenants_are_ranked_within_their_meter_and_stream():
    rows = [daily(9, tenant_id="a"), daily(1, tenant_id="b", **EGRESS)]
    rows += [daily(1, tenant_id="c", stream="s3")]

    assert by_tenant(*rows, top=1) == [
        ("a", 1, "9.000000000", 1),
        ("b", 1, "1.000000000", 1),
        ("c", 1, "1.000000000", 1),
    ]


def test_objects_that_were_not_read_are_named_by_stream_and_key():
    fields = {"raw_object_etag": "e1", "reason": "denied", "landed_date": DAY}
    rows = [
        {"stream": "s3", "raw_object_key": "b"} | fields,
        {"stream": "app_usage", "raw_object_key": "c"} | fields,
        {"stream": "app_usage", "raw_object_key": "a"} | fields | {"reason": "damaged"},
        {"stream": "app_usage", "raw_object_key": "d"} | fields | {"landed_date": NEXT},
    ]

    found = asked("report/statement_unread", tables.UNREAD, rows)

    assert [tuple(row.values()) for row in found] == [
        ("app_usage", "a", "damaged"),
        ("app_usage", "c", "denied"),
        ("s3", "b", "denied"),
    ]
