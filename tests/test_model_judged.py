"""usage/normalize_input, usage/normalize_count, usage/quarantine: a batch, judged."""

import base64
from datetime import datetime

from etl import mapping
from tests import models
from tests.models import NOON, batch, judged, measure, quantity

RECORDS = (None, None)
API, BYTES = ("api_calls", "Requests"), ("bytes", "Bytes")
EGRESS = {"meter": "bytes", "unit": "Bytes"}


def came(batches, measures) -> dict:
    given = {
        "batch": models.rows_like(models.BATCH, batches),
        "mapped": models.rows_like(models.OF_OBJECT | mapping.MAPPED, measures),
    }
    return {
        (row["object_id"], row["meter"], row["unit"]): (row["rows_in"], row["quantity_in"])
        for row in models.run("usage/normalize_input", given)
    }


def counted(rows) -> list[dict]:
    return models.run("usage/normalize_count", {"arrival": models.rows_like(models.JUDGED, rows)})


def became(rows) -> dict:
    return {
        (row["object_id"], row["meter"], row["unit"]): (row["kept"], row["refused"])
        for row in counted(rows)
    }


def over(batches, rows) -> dict:
    return {
        "batch": models.rows_like(models.BATCH, batches),
        "arrival": models.rows_like(models.JUDGED, rows),
    }


def quarantined(batches, rows) -> list[dict]:
    found = models.run("usage/quarantine", over(batches, rows), stream="app_usage", version="1.0.0")
    return sorted(found, key=lambda row: row["raw_line"])


def test_what_came_in_is_counted_by_object_and_by_meter():
    batches = [batch(0), batch(1), batch(2, object_id=1)]
    measures = [
        measure(0, 2),
        measure(0, 30, **EGRESS),
        measure(1, "0.000000001"),
        measure(2, 5, object_id=1),
    ]

    assert came(batches, measures) == {
        (0, *RECORDS): (2, None),
        (1, *RECORDS): (1, None),
        (0, *API): (2, quantity("2.000000001")),
        (0, *BYTES): (1, quantity("30")),
        (1, *API): (1, quantity("5")),
    }


def test_measures_without_meter_unit_or_quantity_still_leave_their_record_counted():
    batches = [batch(0), batch(1), batch(2)]
    measures = [measure(0, meter=None), measure(1, unit=None), measure(2, quantity=None)]

    assert came(batches, measures) == {(0, *RECORDS): (3, None), (0, *API): (1, None)}


def test_what_was_kept_and_refused_is_counted_by_object_and_by_meter():
    rows = [judged(0), judged(0, **EGRESS), judged(1, "no_time"), judged(1, "no_time", **EGRESS)]
    rows.append(judged(2, "not_json", meter=None, unit=None, quantity=None))
    rows.append(judged(3, object_id=1, **EGRESS))

    assert became(rows) == {
        (0, *RECORDS): (1, 2),
        (1, *RECORDS): (1, 0),
        (1, *BYTES): (1, 0),
        (0, *API): (1, 1),
        (0, *BYTES): (1, 1),
    }


def test_quantities_are_told_apart_by_what_became_of_them():
    rows = [judged(0, quantity=2), judged(1, "no_time", quantity=3), judged(2, quantity=None)]
    (api,) = [row for row in counted(rows) if row["meter"]]

    assert (api["quantity_kept"], api["quantity_refused"]) == (quantity("2"), quantity("3"))


def test_a_refused_record_is_kept_as_it_was_written_with_what_it_would_have_counted():
    text = '{"tenant": "O\'Brien\nΔ"}'
    rows = [judged(0, "no_time", quantity=2), judged(0, "no_time", quantity="0.5", **EGRESS)]
    (row,) = quarantined([batch(raw=text.encode())], rows)

    assert (row["stream"], row["schema_version"], row["reason"]) == (
        "app_usage",
        "1.0.0",
        "no_time",
    )
    assert (row["raw_encoding"], row["raw_text"]) == ("utf-8", text)
    assert row["quantities"] == {
        "api_calls Requests": "2.000000000",
        "bytes Bytes": "0.500000000",
    }
    assert (row["raw_line"], row["event_time"]) == (1, NOON)


def test_accepted_records_are_not_in_quarantine():
    rows = [judged(0), judged(1, "no_time", raw_line=2)]

    assert [row["raw_line"] for row in quarantined([batch(0), batch(1)], rows)] == [2]


def test_a_record_that_is_no_text_is_kept_in_base64_without_quantities():
    gone = {"meter": None, "unit": None, "quantity": None, "event_time": None}
    given = batch(raw=b"\xff\x00", reader_reason="not_utf8")
    (row,) = quarantined([given], [judged(0, "not_utf8", **gone)])

    assert (row["raw_encoding"], base64.b64decode(row["raw_text"])) == ("base64", b"\xff\x00")
    assert (row["quantities"], row["event_time"]) == ({}, None)


def test_text_that_the_reader_refused_stays_text():
    given = batch(raw=b'{"a":1,"a":2}', reader_reason="repeated_key")
    (row,) = quarantined([given], [judged(0, "repeated_key", meter=None)])

    assert (row["raw_encoding"], row["raw_text"]) == ("utf-8", '{"a":1,"a":2}')


def test_the_earliest_time_of_a_refused_record_is_shown():
    late = {"event_time": datetime(2026, 11, 18, 13)}
    rows = [judged(0, "no_time", **late), judged(0, "no_time", **EGRESS)]
    (row,) = quarantined([batch()], rows)

    assert row["event_time"] == NOON


def test_a_record_that_repeats_a_meter_is_quarantined():
    rows = [judged(0, "repeated_meter", quantity=n) for n in (1, 2)]

    assert [row["reason"] for row in quarantined([batch()], rows)] == ["repeated_meter"]
