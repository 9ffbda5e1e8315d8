"""The sample, through a real object store, gives exactly the truth that its generator wrote down."""

from datetime import date
from decimal import Decimal

import pytest

from sample import generate
from sample.land import land

pytestmark = pytest.mark.usefixtures("quick_judge")
STREAMS = ("app_usage", "cloudtrail", "s3_access")


def test_the_sample_comes_out_exactly(lake):
    made = generate(7, date(2026, 11, 18), 2)
    land(made, "landing", f"{lake.name}/", lake.client)

    for stream in STREAMS:
        lake.run(stream, *made.landed_dates)

    assert daily_totals(lake) == expected_totals(made.truth)
    assert landed(lake) == {
        (one["stream"], one["landed_date"]): one for one in made.truth["landed"]
    }
    assert duplicates(lake) == {
        (one["stream"], one["class"]): one["records"] for one in made.truth["duplicates"]
    }
    assert voids(lake) == made.truth["voids"]
    assert gaps(lake) == made.truth["sequence_gaps"]
    assert lake.release().pending == {}


def test_landing_and_running_again_changes_nothing(lake):
    made = generate(3, date(2026, 11, 18), 1)
    for _ in range(2):
        assert land(made, "landing", f"{lake.name}/", lake.client) in (0, len(made.objects))
        lake.run("app_usage", *made.landed_dates)
        first = lake.release()

    lake.run("app_usage", *made.landed_dates)

    assert lake.release() == first


def daily_totals(lake) -> dict:
    found = lake.rows("""
        SELECT usage_date::VARCHAR AS day, stream, tenant_id, meter, unit, sum(quantity)::DECIMAL(38,9) AS quantity,
            sum(weighted_quantity)::DECIMAL(38,9) AS weighted, sum(events)::BIGINT AS events
        FROM usage_daily GROUP BY ALL""")
    return {
        (row["day"], row["stream"], row["tenant_id"], row["meter"], row["unit"]): (
            row["quantity"],
            row["weighted"],
            row["events"],
        )
        for row in found
    }


def expected_totals(truth: dict) -> dict:
    return {
        (one["usage_date"], one["stream"], one["tenant_id"], one["meter"], one["unit"]): (
            Decimal(one["quantity"]),
            Decimal(one["weighted_quantity"]),
            one["events"],
        )
        for one in truth["daily_totals"]
    }


def landed(lake) -> dict:
    reasons: dict = {}
    for row in lake.rows(
        "SELECT stream, landed_date::VARCHAR AS day, reason, count(*) AS n FROM quarantine GROUP BY ALL"
    ):
        reasons.setdefault((row["stream"], row["day"]), {})[row["reason"]] = row["n"]
    found = lake.rows("""
        SELECT stream, landed_date::VARCHAR AS landed_date, count(*) AS objects, sum(records)::BIGINT AS records,
            sum(records_accepted)::BIGINT AS accepted FROM manifest GROUP BY ALL""")
    return {
        (row["stream"], row["landed_date"]): row
        | {"quarantined": reasons.get((row["stream"], row["landed_date"]), {})}
        for row in found
    }


def duplicates(lake) -> dict:
    found = lake.rows(
        "SELECT stream, class, count(DISTINCT (raw_object_key, raw_line)) AS n FROM duplicate GROUP BY ALL"
    )
    return {(row["stream"], row["class"]): row["n"] for row in found}


def voids(lake) -> dict:
    (row,) = lake.rows("""
        SELECT count(DISTINCT record_key) FILTER (role = 'voided') AS applied,
            count(*) FILTER (role = 'void' AND corrects_key NOT IN (
                SELECT record_key FROM correction WHERE role = 'voided')) AS unmatched
        FROM correction""")
    return row


def gaps(lake) -> list:
    from etl import sql

    names = ("stream", "sequence_scope", "landed_date", "first_missing", "missing")
    found = lake.rows(sql.model("reconcile/sequence_gap"))
    return [
        {name: str(row[name]) if name == "landed_date" else row[name] for name in names}
        for row in found
    ]
