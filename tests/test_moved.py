"""An object of Oracle's reports is told by its own name: moved, and written again elsewhere, it counts once."""

from datetime import datetime
from decimal import Decimal

import pytest

from etl.billing import stages
from tests.bills import bill, line
from tests.test_billing import billed

FIRST, SECOND, THIRD = (datetime(2026, 10, day, 6) for day in (20, 21, 22))
NAME = "0001000000600065-00001.csv"
HERE, THERE = f"billing/oci/focus/a/2026/10/20/{NAME}", f"billing/oci/focus/b/2026/10/20/{NAME}"
OTHER = line(BillingAccountId="9", BilledCost="10")
OLD, NEW = bill(line(BilledCost="1"), line()), bill(line(BilledCost="2"))

pytestmark = pytest.mark.usefixtures("quick_judge")


def ingest(lake, *objects: tuple[str, bytes, datetime]) -> dict[str, Decimal]:
    """What is billed by now."""
    for key, body, at in objects:
        lake.land(key, body, at)
    stages.ingest("oci_focus", f"run-{len(lake.keys())}")
    release = lake.release()
    stages.ingest("oci_focus", "idle")
    assert lake.release() == release
    return billed(lake)


@pytest.mark.parametrize("is_gone", [True, False])
def test_an_object_that_was_moved_and_written_again_counts_once(lake, is_gone):
    # given an object, and its copy in another place
    neighbour = HERE.replace("-00001", "-00002"), bill(line(BilledCost="100")), FIRST
    assert ingest(lake, (HERE, OLD, FIRST), neighbour) == {"USD": Decimal("102.25")}
    assert ingest(lake, (THERE, OLD, SECOND)) == {"USD": Decimal("102.25")}
    if is_gone:
        lake.client.delete_object(Bucket="landing", Key=f"{lake.name}/{HERE}")

    # when it is written again there
    assert ingest(lake, (THERE, NEW, THIRD)) == {"USD": Decimal("102")}

    # then its older bytes count no more, wherever they come to lie
    again = THERE.replace("/b/", "/c/")
    assert ingest(lake, (again, OLD, THIRD)) == {"USD": Decimal("102")}
    rows = lake.rows("SELECT state, reason FROM delivery ORDER BY submitted_at, delivery_id")
    assert [tuple(row.values()) for row in rows] == [
        ("superseded", "newer_delivery"),
        ("loaded", None),
        ("superseded", "same_content"),
        ("loaded", None),
        ("superseded", "same_content"),
    ]


@pytest.mark.parametrize(("first", "second"), [(HERE, THERE), (THERE, HERE)])
def test_of_two_versions_that_come_at_once_the_newer_counts(lake, first, second):
    assert ingest(lake, (first, OLD, FIRST), (second, NEW, SECOND)) == {"USD": Decimal("2")}


def test_an_older_version_that_comes_later_does_not_count(lake):
    ingest(lake, (HERE, NEW, SECOND))

    assert ingest(lake, (THERE, OLD, FIRST)) == {"USD": Decimal("2")}


def test_two_tenancies_may_name_an_object_alike(lake):
    ingest(lake, (HERE, OLD, FIRST))

    assert ingest(lake, (THERE, bill(OTHER), SECOND)) == {"USD": Decimal("12.25")}


def test_an_object_that_was_moved_and_gets_its_first_bytes_again_counts_these(lake):
    assert ingest(lake, (HERE, OLD, FIRST)) == {"USD": Decimal("2.25")}
    assert ingest(lake, (THERE, NEW, SECOND)) == {"USD": Decimal("2")}

    assert ingest(lake, (THERE, OLD, THIRD)) == {"USD": Decimal("2.25")}


def test_an_object_with_an_older_time_than_the_one_it_replaces_withdraws_nothing(lake):
    ingest(lake, (HERE, NEW, SECOND))

    assert ingest(lake, (HERE, OLD, FIRST)) == {"USD": Decimal("2.25")}

    assert not lake.rows("FROM delivery WHERE reason = 'withdrawn'")
