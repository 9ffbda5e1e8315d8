"""What the official FOCUS validator is given, how its XML is read, and what the list of excuses excuses."""

import duckdb
import pytest

from conformance import bills, verdict
from conformance.verdict import Allowed, Failure
from etl import sql
from etl.billing.tables import CHARGE

XML = """<?xml version='1.0' encoding='utf-8'?>
<testsuites name="FOCUS Validations" tests="4" failures="2" skipped="1">
  <testsuite name="InvoiceId-C-000-InvoiceId">
    <testcase name="InvoiceId-C-000-C :: Composite"><failure message="Composite check"/></testcase>
  </testsuite>
  <testsuite name="InvoiceId-C-004-InvoiceId">
    <testcase name="InvoiceId-C-004-C :: Nullability"><failure message="Nullability check"/></testcase>
  </testsuite>
  <testsuite name="InvoiceId-C-001-InvoiceId">
    <testcase name="InvoiceId-C-001-C :: Type"/>
    <testcase name="InvoiceId-C-002-C :: Format"><skipped message="not now"/></testcase>
  </testsuite>
</testsuites>"""
LEAF = Failure("InvoiceId-C-004-C", "Nullability", "Nullability check")
ABOVE = Failure("InvoiceId-C-000-C", "Composite", "Composite check")
WHOLE = Failure("CostAndUsage-D-000-M", "Composite", "Composite check")
EXCUSE = Allowed("aws-*", "InvoiceId-C-004-C", "because")


def test_failures_are_read_from_the_xml_because_the_program_ends_with_0_anyway():
    assert verdict.parse(XML) == verdict.Outcome(4, 1, (ABOVE, LEAF))


@pytest.mark.parametrize(
    ("bill", "failures", "left"),
    [
        ("aws-cur", [WHOLE, ABOVE, LEAF], []),
        ("gcp", [WHOLE, ABOVE, LEAF], [LEAF]),
        ("aws-cur", [ABOVE], [ABOVE]),
        ("aws-cur", [WHOLE], [WHOLE]),
        ("aws-cur", [Failure("InvoiceId-C-005-C", "Nullability", "")], ...),
    ],
)
def test_what_is_not_listed_for_this_bill_is_left(bill, failures, left):
    expected = failures if left is ... else left

    assert verdict.left(bill, failures, [EXCUSE]) == expected


def test_an_excuse_that_nothing_needs_any_more_is_named():
    needed, unknown = {"aws-cur": (LEAF,)}, {"gcp": (LEAF,)}

    assert verdict.stale(needed, [EXCUSE]) == []
    assert verdict.stale(unknown, [EXCUSE]) == []  # no bill of it was judged
    assert verdict.stale({"aws-cur": (ABOVE,)}, [EXCUSE]) == [EXCUSE]


def test_every_excuse_has_a_reason_and_stands_once(tmp_path):
    found = [(one.bills, one.check) for one in verdict.allowed()]
    assert len(found) == len(set(found)) > 0

    two = tmp_path / "two.csv"
    two.write_text("bills,check,reason\naws-* oci,InvoiceId-C-004-C,because\n")
    assert verdict.allowed(two) == [EXCUSE, Allowed("oci", EXCUSE.check, "because")]

    bad = tmp_path / "bad.csv"
    bad.write_text("bills,check,reason\n*,InvoiceId-C-004-C,\n")
    with pytest.raises(ValueError, match="InvoiceId-C-004-C: bills, check and reason"):
        verdict.allowed(bad)


def test_what_is_judged_has_every_column_of_focus_1_2_and_then_ours():
    of_1_3 = {"service_provider_name", "host_provider_name"}
    words = [one.name.split("_") for one in CHARGE.columns if one.name not in of_1_3]
    focus = ["".join(map(str.capitalize, one)) for one in words if one[0] != "x"]
    engine = duckdb.connect()
    columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in CHARGE.sql_columns.items())
    engine.execute(f"CREATE VIEW charge AS SELECT {columns}")

    names = [name for name, *_ in engine.execute(sql.model("view/focus_1_2")).description]

    assert len(focus) == 57 and names[:57] == focus
    assert all(name.startswith("x_") for name in names[57:])


def test_bills_of_our_own_are_there_without_any_shared_data(tmp_path):
    found = bills.bills(tmp_path / "nothing")

    assert [one.streams for one in found] == [("aws_focus",), ("gcp_billing",)]
    assert all(list(one.landed()) for one in found)
