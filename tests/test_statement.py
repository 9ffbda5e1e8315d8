"""The statement: a stable shape, exact text, and what is not known said so."""

import gzip
import json
from datetime import date
from decimal import Decimal

import pytest

from etl import lookup
from etl.settings import ROOT
from etl.statement import statement
from tests.conftest import Lake
from tests.events import DAY, adjust, evening, event, key, lines, void

NEXT = date(2026, 11, 19)
DOCS = ROOT / "docs" / "statement.md"
S3 = "o b1 [18/Nov/2026:10:00:00 +0000] 10.1.1.1 r q{n} REST.GET.OBJECT t-1/a - 200 - 100 9 1 1 - - -\n"
TOP = {"statement", "usage_date", "release", "release_sha256", "released_at", "streams"}
STREAM = {"stream", "contract_version", "pending", "landed", "completeness", "usage", "totals"}
STREAM |= {"by_tenant", "change", "validation"}
LANDED = {"objects", "objects_refused", "unread", "records", "accepted", "quarantined"}
LANDED |= {"quarantined_by_reason"}
USAGE = {"records", "measures", "late", "sampled", "clamped", "adjusts", "duplicates", "conflicts"}
USAGE |= {"records_voided", "voids", "voids_unmatched", "delays"}
TOTAL = {"meter", "unit", "quantity", "weighted_quantity", "events", "sampled_events", "tenants"}
TOTAL |= {"unattributed_events"}
LISTS = {"duplicates", "delays"}
TENANT = {"meter", "unit", "tenant_id", "tenants", "quantity", "weighted_quantity", "events"}
DUPLICATE = {"class", "meter", "unit", "records", "quantity", "difference_to_kept"}


@pytest.fixture(scope="module")
def lake(object_store):
    """Two landed days of events, the second of which restates the first; one of access logs."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        lake = Lake(object_store, "statement", monkeypatch)
        first = (event("a", 7), event("b", 2, sampledrate=4), event("c", 3), event("x", 1), "{")
        lake.land(key(), lines(*first, void("x"), void("gone", "v2")), evening())
        lake.land(key(partition=1), gzip.compress(b"cut")[:-4], evening())
        lake.land("s3logs/1/r/b/2026/11/18/log", S3.format(n=1).encode(), evening())
        lake.run("app_usage", DAY)
        lake.run("s3_access", DAY)
        again = (event("a", 7), event("b", 9, sampledrate=4))
        stamped = event("c", 3, at="2026-11-18T12:00:00Z")
        ahead = event("d", "0.000000001", at="2026-11-19T23:59:00Z", subject="")
        late = (*again, stamped, adjust("a", -2), ahead)
        lake.land(key(NEXT, offset=10), lines(*late), evening(NEXT))
        lake.run("app_usage", NEXT)
        yield lake


@pytest.fixture(scope="module")
def found(lake) -> dict:
    return lookup.statement(DAY)


@pytest.fixture(scope="module")
def app(found) -> dict:
    return found["streams"][0]


def test_the_shape_is_stable(found, lake):
    assert set(found) == TOP
    assert (found["statement"], found["usage_date"]) == (1, "2026-11-18")
    assert [one["stream"] for one in found["streams"]] == ["app_usage", "s3_access"]
    for one in found["streams"]:
        assert (set(one), set(one["landed"]), set(one["usage"])) == (STREAM, LANDED, USAGE)
        assert set(one["completeness"]) == {"evidence", "missing", "received", "gaps"}
        assert set(one["change"]) == {"kind", "release", "replaces", "cause", "totals"}
        assert set(one["validation"]) == {"usage_event", "usage_daily"}
        assert all(set(row) == TOTAL for row in one["totals"])
        assert all(set(row) == TENANT for row in one["by_tenant"])
        assert all(set(row) == DUPLICATE for row in one["usage"]["duplicates"])
    assert found["release_sha256"] == lake.release().sha256


def test_the_documented_example_has_the_same_keys(found):
    def keys(part: dict | list, path: str = "") -> set[str]:
        parts = part.items() if isinstance(part, dict) else [("[]", one) for one in part]
        return {
            key
            for name, value in parts
            for key in {f"{path}.{name}"}
            | (keys(value, f"{path}.{name}") if isinstance(value, dict | list) else set())
        }

    example = json.loads(DOCS.read_text().split("```json\n")[1].split("```")[0])

    assert {
        one for one in keys(example) ^ keys(found) if "gaps" not in one and "by_reason" not in one
    } == set()


def test_it_is_json_and_its_quantities_are_text(found):
    def floats(part: object) -> list[float]:
        if isinstance(part, dict | list):
            return [
                f
                for one in (part.values() if isinstance(part, dict) else part)
                for f in floats(one)
            ]
        return [part] if isinstance(part, float) else []

    assert json.loads(json.dumps(found)) == found
    assert floats(found) == []
    quantities = [row["quantity"] for one in found["streams"] for row in one["totals"]]
    assert quantities == ["10.000000000", "100.000000000", "1.000000000"]


def test_landed_tells_what_arrived_that_day(app):
    assert app["contract_version"] == "1.0.0"
    assert app["landed"] == {
        "objects": 2,
        "objects_refused": 1,
        "unread": [],
        "records": 7,
        "accepted": 6,
        "quarantined": 1,
        "quarantined_by_reason": {"not_json": 1, "object_truncated": 1},
    }


def test_usage_tells_what_is_charged_to_the_day_whenever_it_arrived(app):
    usage = {name: value for name, value in app["usage"].items() if name not in LISTS}
    assert usage == {
        "records": 10,
        "measures": 10,
        "late": 4,
        "sampled": 2,
        "clamped": 0,
        "adjusts": 1,
        "conflicts": 1,
        "records_voided": 1,
        "voids": 2,
        "voids_unmatched": 1,
    }
    by_class = {row["class"]: row for row in app["usage"]["duplicates"]}
    assert {name: row["records"] for name, row in by_class.items()} == {
        "re_delivery": 1,
        "re_stamped": 1,
        "conflict": 1,
    }
    conflict = by_class["conflict"]
    assert [conflict["quantity"], conflict["difference_to_kept"]] == ["9.000000000", "7.000000000"]


def test_totals_are_exact_and_weighted_beside_them(app):
    (total,) = app["totals"]
    assert (total["quantity"], total["weighted_quantity"]) == ("10.000000000", "16.000000000")
    assert [total[n] for n in ("events", "sampled_events", "tenants")] == [4, 1, 1]


def test_tenants_and_delays_add_up_to_the_totals(app):
    totals = {row["meter"]: (row["quantity"], row["events"]) for row in app["totals"]}
    tenants: dict = {}
    for row in app["by_tenant"]:
        quantity, events = tenants.get(row["meter"], (Decimal(0), 0))
        tenants[row["meter"]] = (quantity + Decimal(row["quantity"]), events + row["events"])

    assert {meter: (str(q), events) for meter, (q, events) in tenants.items()} == totals
    assert sum(row["records"] for row in app["usage"]["delays"]) == app["usage"]["records"]


def test_a_statement_reads_only_the_partitions_of_its_day(lake):
    whole = lake.release()

    read = statement.narrowed(whole, DAY)

    def days(table: str) -> set[str]:
        return {name.split("usage_date=")[1][:10] for name in read.partitions(table)}

    assert days("usage_arrival") == days("usage_daily") == {str(DAY)}
    assert len(read.partitions("usage_arrival")) < len(whole.partitions("usage_arrival"))
    assert set(read.body["tables"]) == set(statement.TABLES)


def test_a_change_names_difference_and_cause(app, lake):
    change = app["change"]
    assert change["kind"] == "restated"
    assert change["cause"] == "arrivals landed on 2026-11-19"
    assert change["replaces"] < change["release"] <= lake.release().number
    (row,) = change["totals"]
    assert set(row) == {"meter", "unit", "old_quantity", "new_quantity", "difference"}
    assert (row["meter"], row["difference"]) == ("api_calls", "-2.000000000")


def test_old_and_new_of_a_change_are_totals_of_the_meter(app):
    (row,) = app["change"]["totals"]
    (total,) = app["totals"]

    assert (row["old_quantity"], row["new_quantity"]) == ("12.000000000", total["quantity"])


def test_completeness_without_evidence_is_unknown(found):
    assert found["streams"][1]["completeness"] == {
        "evidence": "unknown",
        "missing": None,
        "received": None,
        "gaps": [],
    }


def test_completeness_by_sequence_counts_the_gap_before_an_object(lake):
    completeness = lookup.statement(NEXT)["streams"][0]["completeness"]
    assert completeness == {
        "evidence": "sequence",
        "received": 5,
        "missing": 3,
        "gaps": [
            {
                "sequence_scope": "0",
                "first_missing": 7,
                "missing": 3,
                "raw_object_key": key(NEXT, offset=10),
            }
        ],
    }


def test_the_first_publication_of_a_day_is_told_as_such():
    (next_day,) = lookup.statement(NEXT)["streams"]
    assert (next_day["change"]["kind"], next_day["change"]["replaces"]) == ("first", None)
    (total,) = next_day["totals"]
    assert (total["quantity"], total["unattributed_events"]) == ("0.000000001", 1)


def test_results_and_data_docs_can_be_reached(app, lake):
    for where in app["validation"].values():
        results, docs = (
            where[n].removeprefix(f"s3://lake/{lake.name}/") for n in ("results", "docs")
        )
        kept = json.loads(lake.read(results))["results"]
        assert len(kept) > 8
        assert where["rules"] == kept
        assert [r["rule"] for r in kept if r["severity"] == "critical" and not r["success"]] == []
        assert b"<html" in lake.read(docs)


def test_the_text_says_the_same():
    text = lookup.statement_text(DAY)

    assert text.startswith("Usage date 2026-11-18 (UTC), release ")
    for part in (
        "2 objects, 1 refused whole, 7 records: 6 accepted, 1 quarantined",
        "unknown: this source gives no evidence",
        "10 records (10 measures), 4 late, 2 sampled, 0 clamped, 1 adjusts",
        "api_calls: 9 Requests kept out, 7 against what is kept",
        "1 record voided; 2 voids here, 1 of them without a known target",
        "arrivals landed on 2026-11-19",
        "Requests (-2)",
        "weighted 16 (an estimate)",
    ):
        assert part in text


def test_a_day_without_anything_is_a_statement_too():
    assert lookup.statement(date(2020, 1, 1))["streams"] == []
    assert "Nothing landed" in lookup.statement_text(date(2020, 1, 1))


def test_a_total_that_is_taken_back_entirely_is_told(object_store, monkeypatch):
    lake = Lake(object_store, "taken-back", monkeypatch)
    lake.land(key(), lines(event("a", 7)), evening())
    lake.run("app_usage", DAY)
    lake.land(key(NEXT, offset=1), lines(void("a")), evening(NEXT))
    lake.run("app_usage", NEXT)
    assert lake.rows("SELECT sum(difference) AS d FROM restatement") == [{"d": Decimal(-7)}]

    (one,) = lookup.statement(DAY)["streams"]

    assert (one["change"]["kind"], one["change"]["totals"][0]["new_quantity"]) == (
        "restated",
        "0.000000000",
    )
