"""A table gets a column: what was published before stays readable, and counts, beside what comes after."""

import hashlib
import io
import json
from datetime import date, datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from etl import layout, lookup, settings
from etl.billing import stages
from etl.release import UNSAID, Change, publish
from etl.store import Store
from etl.tables import ALL
from tests.bills import bill, land, line
from tests.events import DAY, evening, event, key, lines

pytestmark = pytest.mark.usefixtures("quick_judge")
TRACE = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


def published_without(lake, table: str, column: str) -> None:
    """Publish a table as it would have been before it had a column, and before shapes were named."""
    store = Store(settings.from_environment().lake)
    release, made = lake.release(), {}
    for name, entry in release.partitions(table).items():
        (file,) = entry["files"]
        body = io.BytesIO()
        rows = pq.read_table(io.BytesIO(lake.read(file["key"]))).drop_columns([column])
        pq.write_table(rows, body, store_schema=False)
        sha256 = hashlib.sha256(body.getvalue()).hexdigest()
        key = layout.data(table, name, sha256)
        store.create(key, body.getvalue())
        old = {kept: entry[kept] for kept in entry if kept not in UNSAID}
        made[name] = old | {"files": [file | {"key": key, "sha256": sha256}]}
    publish(store, Change("before", release.number, {table: made}), datetime(2026, 11, 19))


def test_a_day_is_built_from_arrivals_of_both_shapes(lake):
    # given arrivals and events of a day, published before these tables had a column
    lake.land(key(), lines(event("a", 2, traceparent=TRACE), event("b", 3)), evening())
    lake.run("app_usage", DAY)
    for table in ("usage_arrival", "usage_event"):
        published_without(lake, table, "trace_id")
    older = lake.rows("SELECT source_event_id, trace_id, quantity FROM usage_event ORDER BY 1")

    # when a record of that day lands later
    later = date(2026, 11, 20)
    lake.land(key(later), lines(event("c", 5, traceparent=TRACE), event("a", 2)), evening(later))
    lake.run("app_usage", later)

    # then both are read, and the day counts both
    assert [(row["source_event_id"], row["trace_id"]) for row in older] == [
        ("a", None),
        ("b", None),
    ]
    assert [
        (row["source_event_id"], row["trace_id"], row["quantity"])
        for row in lake.rows("FROM usage_event ORDER BY source_event_id")
    ] == [("a", None, 2), ("b", None, 3), ("c", TRACE[3:35], 5)]
    assert [row["quantity"] for row in lake.rows("FROM usage_daily")] == [10]
    assert list(lake.rows("FROM usage_event LIMIT 1")[0]) == list(ALL["usage_event"].sql_columns)


def test_months_of_both_shapes_are_one_table_and_restate(lake):
    # given a month that was published before charges had a column, and one of now
    land(lake, "one.csv", bill(line(x_Own="a")), datetime(2026, 11, 2))
    stages.ingest("aws_focus", "first")
    published_without(lake, "charge", "x_other_columns")
    november = {
        "BillingPeriodStart": "2026-11-01T00:00:00Z",
        "BillingPeriodEnd": "2026-12-01T00:00:00Z",
        "ChargePeriodStart": "2026-11-02T00:00:00Z",
        "ChargePeriodEnd": "2026-11-03T00:00:00Z",
    }
    lake.land(
        "billing/aws/focus/export/billing_period=2026-11/one.csv",
        bill(line(x_Own="b", BilledCost="3", **november)),
        datetime(2026, 11, 4),
    )
    stages.ingest("aws_focus", "second")
    both = "SELECT billed_cost, x_other_columns['x_Own'] AS own FROM charge ORDER BY 1"

    assert [tuple(row.values()) for row in lake.rows(both)] == [
        (Decimal("1.25"), None),
        (Decimal(3), "b"),
    ]

    # and a new delivery of the older month is held against it
    land(lake, "two.csv", bill(line(x_Own="a", BilledCost="2")), datetime(2026, 11, 5))
    stages.ingest("aws_focus", "third")
    assert [row["billed_difference"] for row in lake.rows("FROM charge_restatement")] == [
        Decimal("0.75")
    ]
    assert [row["own"] for row in lake.rows(both)] == ["a", "b"]


def test_what_has_todays_shape_is_not_opened_to_know_its_columns(lake):
    lake.land(key(), lines(event("a")), evening())
    lake.run("app_usage", DAY)

    assert "union_by_name" not in lake.read(layout.VIEWS).decode()
    published_without(lake, "usage_daily", "sku_id")
    assert lake.rows("SELECT sku_id, quantity FROM usage_daily") == [
        {"sku_id": None, "quantity": 1}
    ]


def test_a_lake_of_the_first_versions_goes_on(lake):
    # given a release as the first versions wrote it: neither key nor first release in its entries
    lake.land(key(), lines(event("a", 2)), evening())
    lake.run("app_usage", DAY)
    release = lake.release()
    for partitions in release.body["tables"].values():
        for entry in partitions.values():
            for unknown in ("key_id", "first", "shape"):
                del entry[unknown]
    store = Store(settings.from_environment().lake)
    for name in (layout.CURRENT, layout.release(release.number)):
        store.write(name, json.dumps(release.body).encode())

    # then the day is told, goes on, and keeps the release that published it first
    assert "first published in release 2" in lookup.statement_text(DAY)
    lake.run("app_usage", DAY)
    assert lake.release().number > release.number
    assert "first published in release 2" in lookup.statement_text(DAY)
    lake.land(key(offset=1), lines(event("a", 2), event("b", 3)), evening(minute=1))
    lake.run("app_usage", DAY)
    assert [row["quantity"] for row in lake.rows("FROM usage_daily")] == [5]
    assert lake.rows("SELECT difference FROM restatement") == [{"difference": 3}]
