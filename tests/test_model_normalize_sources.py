"""sql/normalize/*.sql over literal lines, through the real contracts: normalize/app_usage,
normalize/s3_access, normalize/cloudtrail."""

import json
from datetime import datetime

import pytest

from tests.events import API, adjust, event, void
from tests.models import normalized, quantity


def app_usage(*events):
    return normalized("app_usage", *(json.dumps(one) for one in events))


def s3_line(**fields) -> str:
    base = {
        "bucket": "media",
        "time": "18/Nov/2026:10:00:00 +0000",
        "request_id": "R1",
        "operation": "REST.GET.OBJECT",
        "key": "t-1/a.png",
        "status": "200",
        "bytes_sent": "512",
    }
    return (
        "own {bucket} [{time}] 192.0.2.7 arn:aws:iam::1:user/u {request_id} {operation} {key} "
        '"GET /" {status} - {bytes_sent} 512 7 6 "-" "agent \\"x\\"" - extra'
    ).format(**base | fields)


def trail(**fields) -> str:
    base = {
        "eventID": "E1",
        "eventTime": "2026-11-18T10:00:00Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "readOnly": True,
        "awsRegion": "eu-west-1",
        "recipientAccountId": "111122223333",
        "userIdentity": {"arn": "arn:aws:iam::111122223333:user/jane", "principalId": "AIDA"},
        "additionalEventData": {"bytesTransferredOut": 89.0},
    }
    return json.dumps({name: one for name, one in (base | fields).items() if one is not None})


def test_an_event_is_one_measure_with_its_sequence_and_trace():
    trace = "0af7651916cd43dd8448eb211c80319c"
    (read,), (row,) = app_usage(event("a", 7, traceparent=f"00-{trace}-b7ad6b7169203331-01"))

    assert (read["sequence_scope"], read["sequence_id"]) == ("0", 100)
    assert (row["meter"], row["unit"], row["quantity"]) == ("api_calls", "Requests", quantity("7"))
    assert row["event_time"] == datetime(2026, 11, 18, 10)
    assert (row["tenant_id"], row["labels"]) == ("t-1", {"feature": "core"})
    assert (row["record_kind"], row["corrects_key"], row["trace_id"]) == ("usage", None, trace)
    assert (row["sample_weight"], row["reject_reason"]) == ("1", None)


@pytest.mark.parametrize("value", [["t-1"], {"id": "t-1"}, [], {}])
@pytest.mark.parametrize("field", ["subject", "id", "quantity"])
def test_an_array_or_object_in_place_of_a_single_value_is_no_measure(field, value):
    (read,), rows = app_usage(event(**{field: value}))

    assert (read["parse_reason"], rows) == ("wrong_type", [])


@pytest.mark.parametrize("value", ["{t-1}", "[t-1]", '["t-1"]'])
def test_text_that_looks_like_an_array_is_a_single_value(value):
    (read,), (row,) = app_usage(event(subject=value))

    assert (read["parse_reason"], row["tenant_id"]) == (None, value)


@pytest.mark.parametrize("tenant", ["O'Brien", 'a"b', "two\nlines", "tab\tbed", "Δ😀", "%27;--"])
def test_a_tenant_passes_as_it_was_written(tenant):
    _, (row,) = app_usage(event(subject=tenant))

    assert row["tenant_id"] == tenant


def test_a_correction_names_the_key_of_its_target():
    records, rows = app_usage(event("a"), void("a"), adjust("a", -3))

    assert [row["record_kind"] for row in rows] == ["usage", "void", "adjust"]
    assert [row["corrects_key"] for row in rows] == [None] + [records[0]["record_key"]] * 2
    assert [row["meter"] for row in rows] == ["api_calls", "void", "api_calls"]
    assert [row["quantity"] for row in rows] == [quantity("1"), quantity("0"), quantity("-3")]
    assert [row["reject_reason"] for row in rows] == [None] * 3


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (event(specversion="0.3"), "unknown_version"),
        (event(specversion=None), "unknown_version"),
        (event(type="com.example.other"), "unknown_type"),
        (event(type=None), "unknown_type"),
        (event(type="com.example.usage.void.v1", data={}), "no_target"),
        (event(type="com.example.usage.adjust.v1", data={"type": API}), "no_target"),
        (adjust("a", 1) | {"data": {"adjusts": {"source": "s", "id": "a"}}}, "unknown_type"),
        (event(quantity=None), "no_quantity"),
        (event(quantity="NaN"), "quantity_not_a_number"),
        (event(quantity="0.1234567891"), "quantity_too_precise"),
        (event(quantity="1e30"), "quantity_too_large"),
        (event(data=None), "no_quantity"),
    ],
)
def test_an_event_that_cannot_count_says_why(given, reason):
    _, (row,) = app_usage(given)

    assert row["reject_reason"] == reason


def test_empty_subject_and_feature_and_a_bad_trace_are_nothing():
    _, (row,) = app_usage(event(subject="", feature=None, traceparent="00-short-01"))

    assert (row["tenant_id"], row["labels"], row["trace_id"]) == (None, {"feature": None}, "")


@pytest.mark.parametrize("line", ["[1]", '"text"', "nonsense", "{", "null", ""])
def test_a_line_that_is_no_json_object_maps_to_nothing(line):
    (read,), rows = normalized("app_usage", line)

    assert (read["parse_reason"], rows) == ("not_json", [])


def test_identity_needs_source_and_id():
    records, _ = app_usage(event("a"), event(None), event("a", source=None), event("a\x1fb"))

    assert [read["record_key"] is None for read in records] == [False, True, True, True]


def test_an_empty_id_is_no_identity():
    (read,), _ = app_usage(event(""))

    assert read["record_key"] is None


def test_a_storage_line_is_a_request_and_the_bytes_it_sent():
    (read,), rows = normalized("s3_access", s3_line())

    assert read["parse_reason"] is None
    assert [(row["meter"], row["unit"], row["quantity"]) for row in rows] == [
        ("storage_egress", "Bytes", quantity("512")),
        ("storage_requests", "Requests", quantity("1")),
    ]
    assert {row["tenant_id"] for row in rows} == {"t-1"}
    assert rows[0]["labels"] == {"operation": "REST.GET.OBJECT", "status": "200"}
    assert (rows[0]["source"], rows[0]["event_time"]) == ("media", datetime(2026, 11, 18, 10))
    assert len(rows[0]["principal_hash"]) == 32


def test_a_storage_line_without_bytes_is_a_request_only():
    _, rows = normalized("s3_access", s3_line(bytes_sent="-"))

    assert [row["meter"] for row in rows] == ["storage_requests"]


@pytest.mark.parametrize(
    ("key", "tenant"),
    [
        ("t%2D1/a", "t-1"),
        ("t%252D1%252Fa", "t-1"),
        ("-", None),
        ("/a", None),
        ("alone", "alone"),
        ("O%2527Brien/a", "O'Brien"),
        ("two%250Alines/a", "two\nlines"),
        ("100%25/a", "100%"),
    ],
)
def test_the_tenant_is_the_first_segment_of_the_decoded_key(key, tenant):
    _, rows = normalized("s3_access", s3_line(key=key))

    assert {row["tenant_id"] for row in rows} == {tenant}


@pytest.mark.parametrize("key", ["%FF/a", "caf%E9/a", "t-1/caf%25E9.png"])
def test_a_key_that_is_not_utf8_spoils_no_other_line(key):
    _, rows = normalized("s3_access", s3_line(key=key), s3_line(request_id="R2"))

    assert {row["tenant_id"] for row in rows if row["source_event_id"] == "R2"} == {"t-1"}


@pytest.mark.parametrize("line", ["", "own media", s3_line()[:60]])
def test_a_shorter_storage_line_does_not_match(line):
    (read,), rows = normalized("s3_access", line)

    assert (read["parse_reason"], rows) == ("no_match", [])


def test_a_storage_line_with_bytes_in_words_is_refused():
    _, rows = normalized("s3_access", s3_line(bytes_sent="many"))

    assert [row["reject_reason"] for row in rows] == ["quantity_not_a_number", None]


def test_a_trail_record_is_a_call_and_its_bytes():
    _, rows = normalized("cloudtrail", trail())

    assert [(row["meter"], row["unit"], row["quantity"]) for row in rows] == [
        ("api_calls", "Requests", quantity("1")),
        ("egress_bytes", "Bytes", quantity("89")),
    ]
    assert {row["service_name"] for row in rows} == {"s3"}
    assert {row["region_id"] for row in rows} == {"eu-west-1"}
    assert {row["sub_account_id"] for row in rows} == {"111122223333"}
    assert {row["tenant_id"] for row in rows} == {None}
    assert {row["reject_reason"] for row in rows} == {None}


def test_a_principal_leaves_as_a_pseudonym_of_its_arn_or_else_its_id():
    nameless = trail(eventID="E2", userIdentity={"principalId": "AIDA"})
    service = trail(eventID="E3", userIdentity={"type": "AWSService"})
    _, rows = normalized("cloudtrail", trail(), nameless, service)
    hashes = [row["principal_hash"] for row in rows if row["meter"] == "api_calls"]

    assert [one and len(one) for one in hashes] == [32, 32, None]
    assert hashes[0] != hashes[1]


def test_a_trail_record_without_an_operation_is_refused_whole():
    _, rows = normalized("cloudtrail", trail(eventName=None), trail(eventSource=None))

    assert {row["reject_reason"] for row in rows} == {"no_operation"}


def test_a_trail_record_is_told_apart_by_account():
    records, _ = normalized("cloudtrail", trail(), trail(recipientAccountId="444455556666"))

    assert records[0]["record_key"] != records[1]["record_key"]
