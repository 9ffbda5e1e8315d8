"""Every sample of the providers' exports, from landing to released charges: row for row, to the last digit."""

import csv
import gzip
import io
import json
from datetime import datetime
from decimal import Decimal, localcontext

import pytest

from conformance.bills import bills
from etl.billing import stages
from tests.conftest import SHARED_DATA

BILLS = SHARED_DATA.parent / "billing"
AT = datetime(2026, 10, 6, 6)
GCP = "gcp/bigquery_nested_derived"
FOCUS = [
    ("aws_focus", "aws/focus_1_2_generated", "billing/aws/focus/e/billing_period=2026-05"),
    ("aws_focus", "aws/focus_1_0", "billing/aws/focus/e/billing_period=2024-09"),
    ("gcp_focus", "gcp/focus_1_2_generated", "billing/gcp/focus/e/billing_period=2026-05"),
    ("oci_focus", "oci/focus_1_0", "billing/oci/focus/e/2024/09/21"),
]
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.usefixtures("quick_judge"),
    pytest.mark.skipif(not BILLS.is_dir(), reason="the shared sample data is not here"),
]


def land(lake, folder: str, prefix: str, pattern: str = "*") -> None:
    for path in sorted((BILLS / folder).rglob(pattern)):
        if path.is_file():
            lake.land(f"{prefix}/{path.relative_to(BILLS / folder)}", path.read_bytes(), AT)


def ingest(stream: str) -> set[str]:
    """Outcomes of a run."""
    return set(stages.ingest(stream, f"run-{stream}")["deliveries"].values())


def source(lake, stream: str, stage: str = "source") -> tuple[int, Decimal]:
    """Rows and exact sum of the text, as the release keeps them."""
    found = lake.rows(
        f"SELECT rows, source_cost FROM charge_control WHERE stream = '{stream}' AND stage = '{stage}'"
    )
    with localcontext(prec=60):
        return sum(row["rows"] for row in found), sum(
            (Decimal(row["source_cost"]) for row in found), Decimal(0)
        )


def told(body: bytes, column: str) -> tuple[int, Decimal]:
    """Rows and sum of a CSV column, read by nothing of ours."""
    rows = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))
    with localcontext(prec=60):
        return len(rows), sum((Decimal(row[column] or 0) for row in rows), Decimal(0))


def in_charges(lake, stream: str) -> Decimal:
    query = (
        f"SELECT sum(x_source_cost)::DECIMAL(38,18) AS cost FROM charge WHERE x_stream = '{stream}'"
    )
    return lake.rows(query)[0]["cost"]


@pytest.mark.parametrize(("stream", "folder", "prefix"), FOCUS, ids=lambda one: one)
def test_focus_of_every_provider_and_version(lake, stream, folder, prefix):
    land(lake, folder, prefix)
    (path,) = (BILLS / folder).glob("*.csv")

    assert ingest(stream) == {"loaded"}
    expected = told(path.read_bytes(), "BilledCost")
    assert source(lake, stream) == expected
    assert in_charges(lake, stream) == expected[1]


@pytest.mark.parametrize("version", ["1.0", "1.2"])
def test_focus_of_azure_by_its_manifest(lake, version):
    (found,) = [one for one in bills() if one.name == f"azure-focus-{version}"]
    for key, body in found.landed():
        lake.land(key, body, AT)
    (path,) = found.objects.values()

    assert ingest("azure_focus") == {"loaded"}
    assert source(lake, "azure_focus") == told(path.read_bytes(), "BilledCost")


def test_the_legacy_report_in_three_files(lake):
    folder = "aws/cur_legacy_generated"
    land(lake, folder, "billing/aws")

    assert ingest("aws_cur") == {"loaded"}
    parts = [
        told(gzip.decompress(path.read_bytes()), "lineItem/UnblendedCost")
        for path in (BILLS / folder).rglob("*.csv.gz")
    ]
    with localcontext(prec=60):
        expected = sum(rows for rows, _ in parts), sum((cost for _, cost in parts), Decimal(0))
    assert expected[0] == 13_608
    assert source(lake, "aws_cur") == expected
    # resources' tags arrive as an object, and who created a resource does not arrive at all
    (row,) = lake.rows("SELECT count(*) AS n FROM charge WHERE tags LIKE '%createdBy%'")
    assert row["n"] == 0


def land_azure(lake, view: str, rows: int | None = None) -> tuple[int, Decimal]:
    body = (BILLS / f"azure/ea_native/EA_{view}Cost_Small.csv").read_bytes()
    folder = "export/20230901-20230930/run"
    manifest = {
        "byteCount": len(body),
        "dataRowCount": rows,
        "exportConfig": {"type": f"{view}Cost"},
        "runInfo": {
            "runId": f"run-{view}",
            "submittedTime": "2023-10-01T05:00:00Z",
            "startDate": "2023-09-01T00:00:00",
            "endDate": "2023-09-30T00:00:00",
        },
        "blobs": [{"blobName": f"{folder}/part.csv", "byteCount": len(body), "dataRowCount": rows}],
    }
    prefix = f"billing/azure/{view.lower()}"
    lake.land(f"{prefix}/{folder}/part.csv", body, AT)
    lake.land(f"{prefix}/{folder}/manifest.json", json.dumps(manifest).encode(), AT)
    return told(body, "Cost")


def test_actual_and_amortized_cost_are_joined_and_never_added(lake):
    actual, amortized = land_azure(lake, "Actual"), land_azure(lake, "Amortized")
    assert ingest("azure_actual") == ingest("azure_amortized") == {"loaded"}

    # what is billed is the actual file alone; the amortized one gives lines under a commitment
    assert source(lake, "azure_actual") == actual
    rows, cost = source(lake, "azure_amortized")
    mirrored_rows, mirrored_cost = source(lake, "azure_amortized", "mirror")
    assert (rows + mirrored_rows, cost + mirrored_cost) == amortized
    (sums,) = lake.rows(
        "SELECT sum(billed_cost)::DECIMAL(38,18) AS billed, sum(effective_cost)::DECIMAL(38,18) AS effective, "
        "count(*) AS n FROM charge"
    )
    assert sums["billed"] == actual[1]
    committed = Decimal("3.25")  # a reservation, bought in this month: billed, and spread elsewhere
    assert sums["effective"] == actual[1] - committed + cost.quantize(Decimal("1e-18"))
    assert sums["n"] == actual[0] + rows


@pytest.mark.parametrize(
    ("stated", "state"), [(None, "loaded"), (11, "loaded"), (12, "rejected row_count")]
)
def test_rows_that_a_manifest_states_must_be_there_and_null_means_unknown(lake, stated, state):
    land_azure(lake, "Actual", stated)

    assert ingest("azure_actual") == {state}


@pytest.mark.parametrize(
    ("name", "state"),
    [("German", "loaded"), ("PayAsYouGo", "loaded"), ("BOM", "rejected no_value")],
)
def test_headers_in_any_language_and_case(lake, name, state):
    body = (BILLS / f"azure/header_variants/{name}.csv").read_bytes()
    lake.land(
        "billing/azure/file/x/20210201-20210228/cost.csv", body.replace(b"2022-11", b"2021-02"), AT
    )

    assert ingest("azure_file") == {state}
    if state == "loaded":
        (row,) = lake.rows("SELECT billed_cost, billing_currency, service_name FROM charge")
        assert row == {
            "billed_cost": Decimal("0.075"),
            "billing_currency": "USD",
            "service_name": "Load Balancer",
        }


def test_an_export_of_one_object_without_a_manifest(lake):
    folder = "azure/native_generated/exports/daily-cost"
    land(lake, folder, "billing/azure/file/daily-cost")
    (path,) = (BILLS / folder).rglob("*.csv")

    assert ingest("azure_file") == {"loaded"}
    assert source(lake, "azure_file") == told(path.read_bytes(), "CostInBillingCurrency")


def test_google_s_export_day_by_day_with_a_late_row_and_credits(lake):
    truth = json.loads((BILLS / GCP / "control-totals.json").read_text())
    days = sorted(day for day in truth if day != "ALL")
    (table,) = {path.parent.parent.name for path in (BILLS / GCP).rglob("*.gz")}
    for day in days:
        folder = f"{table}/export_date={day}"
        land(lake, f"{GCP}/{folder}", f"billing/gcp/json/{folder}")
        if day == days[-1]:  # without the marker that is written last, a day is not complete
            assert ingest("gcp_billing") == {"seen no_marker"}
        lake.land(f"billing/gcp/json/{folder}/_SUCCESS.json", b"{}", AT)
        assert ingest("gcp_billing") == {"loaded"}

    whole = truth["ALL"]
    assert source(lake, "gcp_billing") == (whole["rows"], Decimal(whole["cost"]))
    by_delivery = lake.rows(
        "SELECT delivery, rows, source_cost, source_credits FROM charge_control WHERE stage = 'source'"
    )
    sums: dict[str, list] = {}
    with localcontext(prec=60):
        for row in by_delivery:
            kept = sums.setdefault(row["delivery"], [0, Decimal(0), Decimal(0)])
            for n, name in enumerate(("rows", "source_cost", "source_credits")):
                kept[n] += Decimal(row[name])
    assert sorted(map(tuple, sums.values())) == sorted(
        (truth[day]["rows"], Decimal(truth[day]["cost"]), Decimal(truth[day]["credits"]))
        for day in days
    )
    (net,) = lake.rows(
        "SELECT x_billing_period AS period, sum(billed_cost)::DECIMAL(38,18) AS cost FROM charge GROUP BY 1"
    )
    exact = Decimal(whole["by_invoice_month"]["202610"])
    assert abs(net["cost"] - exact) <= Decimal("1e-18") * whole["rows"]


def test_the_same_table_as_parquet_gives_the_same_charges(lake):
    (path,) = (BILLS / GCP).glob("*.parquet")
    folder = "billing/gcp/parquet/table/export_date=2026-10-05"
    lake.land(f"{folder}/part-0.parquet", path.read_bytes(), AT)
    lake.land(f"{folder}/_SUCCESS.json", b"{}", AT)
    truth = json.loads((BILLS / GCP / "control-totals.json").read_text())["ALL"]

    assert ingest("gcp_billing_parquet") == {"loaded"}
    assert source(lake, "gcp_billing_parquet") == (truth["rows"], Decimal(truth["cost"]))


def test_google_s_table_flattened_to_csv(lake):
    land(lake, "gcp/native_flat_csv", "billing/gcp/csv/table")

    assert ingest("gcp_billing_csv") == {"loaded"}
    # a free trial: every cost is taken back by a credit in Python's notation
    (row,) = lake.rows(
        "SELECT count(*) AS n, sum(billed_cost)::DECIMAL(38,18) AS net, "
        "sum(x_source_credits)::DECIMAL(38,18) AS credits FROM charge"
    )
    assert (row["n"], row["net"]) == (25, 0) and row["credits"] < 0


def test_oracle_s_report_without_the_people_in_its_tags(lake):
    (path,) = (BILLS / "oci/cost_csv").glob("*.gz")
    lake.land("billing/oci/reports/cost-csv/0001.csv.gz", path.read_bytes(), AT)

    assert ingest("oci_cost") == {"loaded"}
    assert source(lake, "oci_cost") == told(gzip.decompress(path.read_bytes()), "cost/myCost")
    assert lake.rows("SELECT count(*) AS n FROM charge WHERE tags LIKE '%@%'") == [{"n": 0}]


def test_the_same_month_by_two_exports_of_one_account_is_refused(lake):
    land(lake, "aws/focus_1_2_generated", "billing/aws/focus/e/billing_period=2026-05")
    assert ingest("aws_focus") == {"loaded"}

    lake.land("billing/aws/cur/r/20260501-20260601/r-Manifest.json", MANIFEST, AT)
    lake.land("billing/aws/r-1.csv.gz", gzip.compress(LEGACY), AT)
    assert ingest("aws_cur") == {"complete counted_elsewhere"}


MANIFEST = json.dumps(
    {
        "assemblyId": "a",
        "reportKeys": ["r-1.csv.gz"],
        "billingPeriod": {"start": "20260501T000000.000Z", "end": "20260601T000000.000Z"},
    }
).encode()
LEGACY = b"""bill/BillingPeriodStartDate,bill/BillingPeriodEndDate,bill/PayerAccountId,lineItem/CurrencyCode,\
lineItem/LineItemType,lineItem/UnblendedCost,lineItem/UsageAccountId,lineItem/UsageStartDate,lineItem/UsageEndDate
2026-05-01T00:00:00Z,2026-06-01T00:00:00Z,100000000001,USD,Usage,1,2,2026-05-01T00:00:00Z,2026-05-01T01:00:00Z
"""
