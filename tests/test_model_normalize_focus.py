"""normalize/focus: FOCUS columns as they are, and what a vendor left out filled and said so."""

from datetime import datetime
from decimal import Decimal

import pytest

from tests.bills import line, mapped


def test_every_column_of_the_export_arrives_under_its_name():
    (row,) = mapped("aws_focus", line(SkuId="S", Tags='{"a": "b"}', x_Own="ours"))

    assert row["row_problem"] is None
    assert (row["billed_cost"], row["list_cost"]) == (Decimal("1.25"), Decimal(2))
    assert (row["billing_account_id"], row["sku_id"], row["tags"]) == ("0123", "S", '{"a": "b"}')
    assert row["charge_period_start"] == datetime(2026, 10, 2)
    assert (row["provider_name"], row["service_provider_name"]) == ("AWS", "AWS")
    assert (row["publisher_name"], row["host_provider_name"]) == ("AWS", "AWS")
    assert row["x_changes"] == {}


@pytest.mark.parametrize(
    ("start", "problem"),
    [
        ("0001-01-01", "wrong_period:billing_period_start"),
        ("9999-12-01", "wrong_period:billing_period_start"),
        ("2000-01-01", None),
    ],
)
def test_a_placeholder_is_no_month(start, problem):
    # given an object that adds rows: the month after the last one ended each run of the contract
    (row,) = mapped("oci_focus", line(BillingPeriodStart=start))

    assert row["row_problem"] == problem


def test_names_of_focus_1_3_are_read_too():
    given = line(ServiceProviderName="AWS", HostProviderName="Elsewhere")
    del given["ProviderName"], given["PublisherName"]
    (row,) = mapped("aws_focus", given)

    assert (row["provider_name"], row["publisher_name"]) == ("AWS", "Elsewhere")
    assert row["host_provider_name"] == "Elsewhere"


@pytest.mark.parametrize(
    ("column", "name", "filled"),
    [
        ("EffectiveCost", "effective_cost", Decimal("1.25")),
        ("ContractedCost", "contracted_cost", Decimal("1.25")),
        ("ListCost", "list_cost", Decimal("1.25")),
        ("ServiceCategory", "service_category", "Other"),
        ("ServiceName", "service_name", "AWS"),
        ("InvoiceIssuerName", "invoice_issuer_name", "AWS"),
        ("PublisherName", "publisher_name", "AWS"),
    ],
)
def test_what_a_vendor_left_out_is_filled_and_said(column, name, filled):
    (row,) = mapped("aws_focus", line(**{column: "NULL"}))

    assert row[name] == filled
    assert row["x_changes"] == {f"filled:{name}": ""}


def test_tags_that_come_as_a_list_are_an_object():
    given = '[{"key": "team", "value": "a"}]'
    (row,) = mapped("gcp_focus", line(Tags=given))

    assert row["tags"] == '{"team":"a"}'
    assert row["x_changes"] == {"respelled:tags": given}


@pytest.mark.parametrize(
    ("given", "word", "said"),
    [
        ("Usage-based", "Usage-Based", {"respelled:charge_frequency": "Usage-based"}),
        ("Usage-Based", "Usage-Based", {}),
        ("Weekly", "Weekly", {}),
        ("", None, {}),
    ],
)
def test_a_frequency_is_spelled_as_focus_spells_it(given, word, said):
    (row,) = mapped("aws_focus", line(ChargeFrequency=given))

    assert (row["charge_frequency"], row["x_changes"]) == (word, said)
