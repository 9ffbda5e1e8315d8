"""What is loaded of a month stands in the ledger until its charges go: no delivery is added to it."""

from datetime import datetime
from decimal import Decimal

import pytest
import yaml

from etl import cli
from etl.billing import stages
from tests.bills import FOLDER, bill, land, line
from tests.test_billing import billed, states
from tests.test_billing_faults import MANIFEST, MONTH, contract, manifest  # noqa: F401
from tests.test_overlap import land_export

FIRST, SECOND, THIRD, FOURTH = (datetime(2026, 10, day, 6) for day in (20, 21, 22, 23))
ON_THE_NINTH = {
    "ChargePeriodStart": "2026-10-09T00:00:00Z",
    "ChargePeriodEnd": "2026-10-10T00:00:00Z",
}

pytestmark = pytest.mark.usefixtures("quick_judge")


def withdraw(lake, key: str) -> None:
    lake.client.delete_object(Bucket="landing", Key=f"{lake.name}/{key}")


def test_a_month_is_not_given_up_for_a_newer_delivery_that_is_refused(lake):
    land(lake, "one.csv", bill(line(**ON_THE_NINTH)), FIRST)
    stages.ingest("aws_focus", "first")
    land(lake, "two.csv", bill(line(BilledCost="3")), SECOND)  # ends earlier
    stages.ingest("aws_focus", "asked", "2026-10")
    assert states(lake)["one.csv"] == ("loaded", None)

    land(lake, "three.csv", bill(line(BilledCost="5", **ON_THE_NINTH)), THIRD)
    stages.ingest("aws_focus", "third")

    assert billed(lake) == {"USD": Decimal("5")}


def test_a_month_is_not_given_up_where_an_object_of_it_is_gone(lake, contract):  # noqa: F811
    contract(**MANIFEST)
    lake.land(f"{MONTH}/a.csv", bill(line()), FIRST)
    manifest(lake, "run", "billing_period=2026-10/a.csv")
    stages.ingest("aws_focus", "first")
    withdraw(lake, f"{MONTH}/a.csv")
    stages.ingest("aws_focus", "asked", "2026-10")

    lake.land(f"{MONTH}/b.csv", bill(line(BilledCost="3")), SECOND)
    manifest(lake, "run2", "billing_period=2026-10/b.csv", at=SECOND)
    stages.ingest("aws_focus", "new")

    assert billed(lake) == {"USD": Decimal("3")}


def test_a_month_is_not_given_up_where_it_is_asked_for_and_refused(lake, contract, tmp_path):  # noqa: F811
    contract()
    land(lake, "one.csv", bill(line()), FIRST)
    stages.ingest("aws_focus", "first")
    (file,) = (tmp_path / "contracts/billing/aws_focus").glob("*.yaml")
    text = file.read_text()
    body = yaml.safe_load(text)
    for one in body["customProperties"]:
        if one["property"] == "billing.reader":
            one["value"]["max_object_bytes"] = 10
    file.write_text(yaml.safe_dump(body, sort_keys=False))
    told = stages.ingest("aws_focus", "asked", "2026-10")
    assert list(told["deliveries"].values()) == ["rejected object_too_large"]
    assert states(lake) == {"one.csv": ("loaded", None)}

    file.write_text(text)
    land(lake, "two.csv", bill(line(BilledCost="3")), SECOND)
    stages.ingest("aws_focus", "new")

    assert billed(lake) == {"USD": Decimal("3")}


def test_what_comes_back_to_the_loaded_bytes_outdates_what_lay_between(lake):
    land(lake, "one.csv", bill(line()), FIRST)
    stages.ingest("aws_focus", "first")
    land(lake, "two.csv", bill(line(BilledCost="3")), SECOND)
    land(lake, "three.csv", bill(line()), THIRD)

    for number in range(3):
        stages.ingest("aws_focus", f"run-{number}")

    assert billed(lake) == {"USD": Decimal("1.25")}


def test_a_delivery_that_was_renamed_takes_its_place_where_it_is_asked_for(lake):
    land(lake, "two.csv", bill(line()), FIRST)
    stages.ingest("aws_focus", "first")
    withdraw(lake, f"{FOLDER}/two.csv")
    land(lake, "one.csv", bill(line()), FIRST)
    assert cli.main(["billing", "ingest", "aws_focus"]) == 1

    assert cli.main(["billing", "ingest", "aws_focus", "--period", "2026-10"]) == 0

    assert cli.main(["billing", "ingest", "aws_focus"]) == 0
    assert billed(lake) == {"USD": Decimal("1.25")}


def test_a_month_that_is_counted_elsewhere_is_read_once_not_delivery_by_delivery(lake):
    land_export(lake, "2026-10", bill(line(BilledCost="3")))
    stages.ingest("aws_focus_export", "other")
    for number, moment in enumerate((FIRST, SECOND, THIRD)):
        land(lake, f"{number}.csv", bill(line(BilledCost=str(number))), moment)
    read = [counted_loads(f"run-{number}") for number in range(3)]

    land_export(lake, "2026-10", bill(line(BilledCost="4")), FOURTH)
    stages.ingest("aws_focus_export", "moved")
    read += [counted_loads(f"again-{number}") for number in range(2)]

    land(lake, "older.csv", bill(line(BilledCost="7")), FIRST.replace(hour=1))
    read.append(counted_loads("older"))

    assert read == [1, 0, 0, 1, 0, 0]
    waits = ("complete", "counted_elsewhere")
    older = ("superseded", "newer_delivery")
    assert (
        states(lake).items()
        >= {"older.csv": older, "0.csv": older, "1.csv": older, "2.csv": waits}.items()
    )


def counted_loads(run: str) -> int:
    plan = stages.deliver("aws_focus", run)
    for number in plan["loads"]:
        stages.load("aws_focus", run, number)
    for stage in (stages.settle, stages.validate, stages.publish):
        stage("aws_focus", run)
    return len(plan["loads"])
