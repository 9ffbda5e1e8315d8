"""The sample's bills: the same bytes for the same seed, and the statement that `make run` prints of them."""

from datetime import date
from decimal import Decimal

import pytest

from etl import cli
from etl.billing import lookup, stages
from sample.bills import STREAMS, bills
from sample.land import land_objects

DAY = date(2026, 11, 18)


def test_a_seed_gives_the_same_bytes():
    assert bills(7, DAY) == bills(7, DAY)
    assert bills(7, DAY) != bills(8, DAY)


@pytest.mark.usefixtures("quick_judge")
def test_both_providers_are_loaded_and_told_by_service_and_against_the_last_delivery(lake, capsys):
    made = bills(7, DAY)
    for moment in sorted({one.delivered_at for one in made}):
        due = [one for one in made if one.delivered_at == moment]
        land_objects(due, "landing", f"{lake.name}/", lake.client)
        for stream in STREAMS:
            assert set(stages.ingest(stream, f"{stream}-{moment}")["deliveries"].values()) <= {
                "loaded",
                "superseded newer_delivery",
            }

    assert cli.main(["billing", "statement"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Bills of 2026-11, release 4\n")
    (moved,) = lake.rows(
        "SELECT sum(billed_difference)::DECIMAL(38,18) AS difference FROM charge_restatement "
        "WHERE provider = 'aws'"
    )
    aws = next(line for line in said.splitlines() if "together" in line)
    assert aws.split()[-1] == f"{moved['difference']:,.2f}" != "0.00"
    (billed,) = lake.rows("SELECT sum(billed_cost)::DECIMAL(38,18) AS cost FROM charge_daily")
    shown = [
        Decimal(line.split()[-3].replace(",", ""))
        for line in said.splitlines()
        if "together" in line
    ]
    assert sum(shown) == pytest.approx(billed["cost"], abs=Decimal("0.02"))


def test_a_month_without_a_bill_says_so(lake):
    assert lookup.statement("2026-01").endswith("No bill of this month is loaded.")
    assert cli.main(["billing", "statement"]) == 1
