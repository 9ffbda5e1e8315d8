"""A delivery that is rejected for what it holds is named until something comes after it, or it is taken away."""

import gzip
import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from etl.billing import contract as billing_contract
from etl.billing import held, stages
from etl.billing.delivery import LOADED, REJECTED, SEEN, SUPERSEDED, Delivery
from etl.settings import ROOT
from tests.test_overlap import ROW, states

FOLDER = "billing/gcp/json/table/export_date=2026-10-20"
AT = datetime(2026, 10, 21, 6)

pytestmark = pytest.mark.usefixtures("quick_judge")


def land(lake, body: bytes, at: datetime = AT) -> None:
    lake.land(f"{FOLDER}/part.json.gz", body, at)
    lake.land(f"{FOLDER}/_SUCCESS.json", b"{}", at)


def test_a_day_that_cannot_be_read_is_named_until_it_is_written_again(lake):
    body = gzip.compress(json.dumps(ROW).encode() + b"\n", mtime=0)
    land(lake, body[:-12])
    for run in ("first", "second"):
        (why,) = stages.ingest("gcp_billing", run)["refused"]
        assert "gcp_billing 2026-10: " in why and "object_truncated" in why
        assert "usage-export billing ingest gcp_billing --period 2026-10" in why
        assert why in stages.overdue("gcp_billing")

    land(lake, body, AT + timedelta(hours=1))
    assert stages.ingest("gcp_billing", "third")["refused"] == []
    assert not any("rejected" in one for one in stages.overdue("gcp_billing"))


TEXT = json.dumps(ROW)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (TEXT[:-40], "not_json"),
        (TEXT[:-1] + r', "zone": "\ud800"}', "not_json"),
        (TEXT[:-1] + r', "labels": [{"key": "a", "value": "\ud83d"}]}', "not_json"),
        (TEXT[:-1] + ', "cost": 1}', "repeated_key"),
        (TEXT[:-1] + ', "x": ' + "[" * 300 + "]" * 300 + "}", "too_deep"),
    ],
)
def test_a_line_that_cannot_be_read_holds_back_no_other_day(lake, line, reason):
    """Where no reader can tell what a line says, its day is rejected, and told which line it is."""
    land(lake, gzip.compress(f"{TEXT}\n\n{TEXT}\n{line}\n".encode()))
    other = FOLDER.replace("-20", "-19")
    lake.land(f"{other}/part.json.gz", gzip.compress(TEXT.encode()), AT)
    lake.land(f"{other}/_SUCCESS.json", b"{}", AT)

    (why,) = stages.ingest("gcp_billing", "first")["refused"]

    assert f"({reason}: {FOLDER}/part.json.gz: row 3)" in why and "land it mended" in why
    assert [one[1:] for one in states(lake)] == [("loaded", None), ("rejected", reason)]


def test_a_day_that_cannot_be_read_and_is_taken_away_is_named_no_more(lake):
    land(lake, b"no gzip")
    assert stages.ingest("gcp_billing", "first")["refused"]
    for name in ("part.json.gz", "_SUCCESS.json"):
        lake.client.delete_object(Bucket="landing", Key=f"{lake.name}/{FOLDER}/{name}")

    assert stages.ingest("gcp_billing", "second")["refused"] == []
    assert [one[1:] for one in states(lake)] == [("seen", "vanished")]


BAD = Delivery("s", "p", "2026-10", "a/one@1", REJECTED, AT, reason="no_value")
NEWER = replace(BAD, delivery_id="a/two@2", submitted_at=AT + timedelta(hours=1))


@pytest.mark.parametrize(
    ("stream", "others", "named"),
    [
        ("aws_focus", [], ["a/one@1"]),
        ("aws_focus", [replace(NEWER.at(LOADED), submitted_at=AT - timedelta(1))], ["a/one@1"]),
        ("aws_focus", [NEWER.at(SEEN)], ["a/one@1"]),
        ("aws_focus", [replace(NEWER.at(LOADED), billing_period="2026-11")], ["a/one@1"]),
        ("aws_focus", [NEWER.at(REJECTED, "foreign_dataset")], ["a/one@1"]),
        ("aws_focus", [NEWER], ["a/two@2"]),
        ("aws_focus", [NEWER.at(REJECTED, "partial_month")], ["a/one@1"]),
        ("aws_focus", [replace(NEWER.at(REJECTED, "partial_month"), rows=1)], ["a/two@2"]),
        ("aws_focus", [NEWER.at(LOADED)], []),
        ("aws_focus", [NEWER.at(SUPERSEDED, "same_content")], []),
        ("gcp_billing", [NEWER.at(LOADED)], ["a/one@1"]),
        ("gcp_billing", [replace(NEWER.at(LOADED), delivery_id="A/one@2")], []),
    ],
)
def test_what_came_after_a_rejected_delivery_decides(stream, others, named):
    contract = billing_contract.load(ROOT / "contracts", stream)

    told = held.messages(contract, [BAD, *others])

    assert len(told) == len(named)
    assert all(name in one for name, one in zip(named, told, strict=True))


def test_a_manifest_that_is_wrong_is_named_with_what_is_wrong_in_it(lake):
    place = "billing/aws/focus_export/x/metadata/billing_period=2026-10/x-Manifest.json"
    body = {"executionId": "run", "dataFiles": ["s3://b/one.gz", "s3://b/two.gz", "s3://b/two.gz"]}
    lake.land(place, json.dumps(body).encode(), AT)

    (why,) = stages.ingest("aws_focus_export", "first")["refused"]

    assert f"run of {place} was rejected (repeated_object: " in why
    assert "billing/aws/focus_export/two.gz twice)" in why
