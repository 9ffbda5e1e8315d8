"""FOCUS as vendors deliver it: any version, as CSV, gzip CSV or Parquet, by a contract alone."""

import csv
import gzip
import io
import json
import shutil
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl import lake as parquet
from etl.billing import stages, text_rows
from etl.settings import ROOT
from tests.bills import bill, line
from tests.conftest import Lake

pytestmark = pytest.mark.usefixtures("quick_judge")

AT, LATER = datetime(2026, 10, 20, 6), datetime(2026, 10, 21, 6)
LINES = [
    line(BilledCost="1.25", Tags='{"team": "a", "aws:createdBy": "jane"}', x_Operation="Run"),
    line(BilledCost="-0.1", EffectiveCost="0.000000000000001", Tags="", x_Operation=""),
]
NEW_NAMES = {"ProviderName": "ServiceProviderName", "PublisherName": "HostProviderName"}
CHARGES = (
    "SELECT * EXCLUDE (x_object_key, x_delivery, x_stream, x_provider) FROM charge ORDER BY x_row"
)


def of_1_4(lines: list[dict]) -> list[dict]:
    """The same lines under the names of FOCUS 1.4, with columns that are new in it."""
    return [
        {NEW_NAMES.get(name, name): value for name, value in one.items()}
        | {"AllocatedMethodId": "m", "InvoiceDetailId": "d"}
        for one in lines
    ]


def as_csv(lines: list[dict]) -> bytes:
    return bill(*lines)


def as_gzip(lines: list[dict]) -> bytes:
    return gzip.compress(bill(*lines))


def as_parquet(lines: list[dict]) -> bytes:
    """Typed as AWS and Azure type it: doubles, times in milliseconds, tags as a map."""
    columns = {}
    for name in lines[0]:
        texts = [one[name] or None for one in lines]
        if name.endswith("Cost"):
            columns[name] = pa.array([float(one) for one in texts])
        elif name.endswith(("Start", "End")):
            moments = [datetime.fromisoformat(one.rstrip("Z")) for one in texts]
            columns[name] = pa.array(moments, pa.timestamp("ms"))
        elif name == "Tags":
            pairs = [list(json.loads(one or "{}").items()) for one in texts]
            columns[name] = pa.array(pairs, pa.map_(pa.string(), pa.string()))
        else:
            columns[name] = pa.array(texts, pa.string())
    target = io.BytesIO()
    pq.write_table(pa.table(columns), target, compression="snappy")
    return target.getvalue()


FORMS = {"csv": as_csv, "csv.gz": as_gzip, "parquet": as_parquet}


def ingest(stream: str, run: str = "first") -> list[str]:
    return sorted(stages.ingest(stream, run)["deliveries"].values())


def charged(lake) -> list[dict]:
    found = lake.rows(CHARGES)
    return [row | {"tags": json.loads(row["tags"] or "{}")} for row in found]


def expect_both_lines(rows: list[dict], vendor: str = "AWS") -> None:
    assert [row["billed_cost"] for row in rows] == [Decimal("1.25"), Decimal("-0.1")]
    assert rows[1]["effective_cost"] == Decimal("0.000000000000001")
    assert [row["tags"] for row in rows] == [{"team": "a"}, {}]
    assert rows[0]["x_other_columns"]["x_Operation"] == "Run"
    assert {row["provider_name"] for row in rows} == {vendor}


@pytest.fixture
def acme(tmp_path, monkeypatch):
    """A vendor that nobody knew: one file, copied, with its name and its place."""
    shutil.copytree(ROOT / "contracts", tmp_path / "contracts")
    folder = tmp_path / "contracts" / "billing"
    text = (folder / "vendor_focus" / "1.0.0.yaml").read_text()
    (folder / "acme_focus").mkdir()
    changed = text.replace("vendor_focus", "acme_focus").replace("billing/vendor/", "billing/acme/")
    changed = changed.replace("value: vendor\n", "value: acme\n")
    (folder / "acme_focus" / "1.0.0.yaml").write_text(changed)
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(tmp_path / "contracts"))


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_new_vendor_of_any_version_is_one_file(lake, acme, form):
    # given a month by the names of FOCUS 1.0 to 1.2, loaded
    given = [one | {"ProviderName": "Acme", "PublisherName": "Acme"} for one in LINES]
    folder = "billing/acme/focus/billing_period=2026-10"
    lake.land(f"{folder}/one.{form}", FORMS[form](given), AT)
    assert ingest("acme_focus") == ["loaded"]
    older = charged(lake)
    expect_both_lines(older, "Acme")

    # when it is delivered again by the names of 1.4
    lake.land(f"{folder}/two.{form}", FORMS[form](of_1_4(given)), LATER)
    assert ingest("acme_focus", "second") == ["loaded", "superseded newer_delivery"]

    # then the charges are the same, with what 1.4 has more
    more = {"x_allocated_method_id": "m", "x_invoice_detail_id": "d"}
    others = [(row["x_other_columns"] or {}) | more for row in older]
    new = charged(lake)
    assert [row.pop("x_other_columns") for row in new] == others
    assert new == [
        {name: value for name, value in row.items() if name != "x_other_columns"} for row in older
    ]
    (loaded,) = lake.rows("SELECT unknown_columns FROM delivery WHERE state = 'loaded'")
    assert loaded["unknown_columns"] == "x_Operation"


def of_type(name: str, values: list, kind: pa.DataType) -> bytes:
    """Parquet of two lines, one column of which is of this type."""
    columns = {one: pa.array([LINES[0][one]] * 2) for one in LINES[0]}
    target = io.BytesIO()
    pq.write_table(pa.table(columns | {name: pa.array(values, kind)}), target)
    return target.getvalue()


def test_text_that_a_writer_of_parquet_did_not_mark_as_text_is_text(lake):
    texts = ['{"team": "Köln"}', '{"path": "a\\\\b"}']
    body = of_type("Tags", [one.encode() for one in texts], pa.binary())
    lake.land("billing/vendor/focus/billing_period=2026-10/one.parquet", body, AT)

    assert ingest("vendor_focus") == ["loaded"]
    assert [row["tags"] for row in lake.rows(CHARGES)] == texts


def test_a_tag_that_a_line_has_not_is_not_made_of_the_members_of_a_structure(lake):
    kind = pa.struct([(name, pa.string()) for name in ("team", "env", "aws:createdBy")])
    body = of_type("Tags", [{"team": "a", "aws:createdBy": "jane"}, {"env": "b"}], kind)
    lake.land("billing/vendor/focus/billing_period=2026-10/one.parquet", body, AT)

    assert ingest("vendor_focus") == ["loaded"]
    found = lake.rows("SELECT tag_key, tag_value FROM charge_tag ORDER BY x_row")
    assert [tuple(row.values()) for row in found] == [("team", "a"), ("env", "b")]


TWICE = [[("team", "a"), ("team", "b")], []]


@pytest.mark.parametrize(
    ("body", "reason", "detail"),
    [
        (
            of_type("Tags", TWICE, pa.map_(pa.string(), pa.string())),
            "type_not_readable",
            "column Tags",
        ),
        (
            of_type("x_Price", [Decimal(1)] * 2, pa.decimal256(76, 38)),
            "type_not_readable",
            "column x_Price",
        ),
        (
            of_type("x_Price", [1.5] * 2, pa.float16()),
            "type_not_readable",
            "column x_Price",
        ),
        (
            as_parquet(LINES)[:40] + b"?" * 40 + as_parquet(LINES)[80:],
            "object_not_parquet",
            "a page of it",
        ),
    ],
    ids=["key twice", "wide decimal", "half float", "damaged"],
)
def test_an_object_that_cannot_be_read_holds_back_no_other(lake, body, reason, detail):
    folder = "billing/vendor/focus/billing_period=2026"
    lake.land(f"{folder}-10/one.parquet", body, AT)
    other = line(
        BillingPeriodStart="2026-09-01T00:00:00Z",
        BillingPeriodEnd="2026-10-01T00:00:00Z",
        ChargePeriodStart="2026-09-02T00:00:00Z",
        ChargePeriodEnd="2026-09-03T00:00:00Z",
    )
    lake.land(f"{folder}-09/one.csv", bill(other), AT)

    assert ingest("vendor_focus") == ["loaded", f"rejected {reason}"]
    (told,) = lake.rows("SELECT detail FROM delivery WHERE state = 'rejected'")
    assert f"2026-10/one.parquet: {detail}" in told["detail"]


@pytest.mark.parametrize("form", ["snappy.parquet", "csv.gz"])
def test_aws_data_exports_deliver_focus_by_a_manifest_of_chunks(lake, form):
    folder = "billing/aws/focus_export"
    data = "exports/focus/data/billing_period=2026-10/20261020T050000-run"
    body = FORMS[form.removeprefix("snappy.")]
    names = [f"{data}/focus-0000{n}.{form}" for n in (1, 2)]
    for name, one in zip(names, LINES, strict=True):
        lake.land(f"{folder}/{name}", body([one]), AT)
    manifest = {"executionId": "run", "dataFiles": [f"s3://exports-bucket/{one}" for one in names]}
    place = f"{folder}/exports/focus/metadata/BILLING_PERIOD=2026-10"
    lake.land(f"{place}/focus-Manifest.json", json.dumps(manifest).encode(), AT)

    assert ingest("aws_focus_export") == ["loaded"]

    rows = charged(lake)
    expect_both_lines(sorted(rows, key=lambda row: -row["billed_cost"]))
    assert [row["x_row"] for row in rows] == [1, 1]


def test_aws_may_write_an_export_straight_into_landing(lake):
    """Then a manifest names keys as they lie there, landing's own prefix and the contract's included."""
    folder = "billing/aws/focus_export/focus"
    name = f"{folder}/data/billing_period=2026-10/run/focus-00001.csv.gz"
    lake.land(name, as_gzip(LINES), AT)
    bucket = lake.settings["USAGE_EXPORT_LANDING"].rstrip("/")
    assert bucket.count("/") == 3, "a prefix below the bucket"
    manifest = json.dumps({"executionId": "run", "dataFiles": [f"{bucket}/{name}"]})
    place = f"{folder}/metadata/billing_period=2026-10"
    lake.land(f"{place}/focus-Manifest.json", manifest.encode(), AT)

    assert ingest("aws_focus_export") == ["loaded"]

    expect_both_lines(charged(lake))


def land_azure(
    lake,
    run: str,
    submitted: str,
    body: bytes,
    form: str = "csv",
    dataset: str = "FocusCost",
    total: int | None = 2,
    rows: int | None = 2,
) -> None:
    folder = f"export/20261001-20261031/{run}"
    name = f"{folder}/part_0_0001.{form}"
    blob = {"blobName": name, "byteCount": len(body), "dataRowCount": rows}
    manifest = {
        "manifestVersion": "2024-04-01",
        "byteCount": len(body),
        "dataRowCount": total,
        "exportConfig": {"type": dataset, "dataVersion": "1.2-preview"},
        "runInfo": {
            "runId": run,
            "submittedTime": submitted,
            "startDate": "2026-10-01T00:00:00",
            "endDate": "2026-10-31T00:00:00",
        },
        "blobs": [blob],
    }
    lake.land(f"billing/azure/focus/{blob['blobName']}", body, LATER)
    manifest_key = f"billing/azure/focus/{folder}/manifest.json"
    lake.land(manifest_key, json.dumps(manifest).encode(), LATER)


@pytest.mark.parametrize("form", ["snappy.parquet", "csv.gz"])
def test_azure_focus_is_the_run_that_was_submitted_last(lake, form):
    body = FORMS[form.removeprefix("snappy.")]
    owner = [one | {"x_AccountOwnerId": "jane@example.com"} for one in LINES]
    cheap = [one | {"BilledCost": "0.5"} for one in LINES]
    land_azure(lake, "b-newest", "2026-10-21T05:00:00Z", body(owner), form, "FocusCost")
    land_azure(lake, "z-older", "2026-10-20T05:00:00Z", body(cheap), form, "FocusCost")
    land_azure(lake, "y-prices", "2026-10-22T05:00:00Z", body(cheap), form, "PriceSheet")

    assert ingest("azure_focus") == [
        "loaded", "rejected foreign_dataset", "superseded newer_delivery"
    ]  # fmt: skip
    rows = charged(lake)
    expect_both_lines(rows)
    assert "jane" not in str(rows)


@pytest.mark.parametrize(
    ("total", "rows", "state"),
    [
        (None, 2, "loaded"),
        (None, 3, "rejected row_count"),
        (None, None, "loaded"),
        (2, None, "loaded"),
        (3, 2, "rejected row_count"),
    ],
)
def test_rows_that_are_stated_of_each_blob_alone_must_be_there_too(lake, total, rows, state):
    land_azure(lake, "one", "2026-10-21T05:00:00Z", as_csv(LINES), total=total, rows=rows)

    assert ingest("azure_focus") == [state]


@pytest.mark.shared_data
def test_azure_s_own_columns_come_as_parquet_too(lake):
    from tests.test_billing_samples import BILLS

    path = BILLS / "azure/ea_native/EA_ActualCost_Small.csv"
    if not path.is_file():
        pytest.skip("the shared sample data is not here")
    lines = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))
    texts = pa.table({name: [one[name] for one in lines] for name in lines[0]})
    target = io.BytesIO()
    pq.write_table(texts, target, compression="snappy")
    folder = "export/20230901-20230930/run"
    manifest = {
        "exportConfig": {"type": "ActualCost"},
        "runInfo": {
            "runId": "run",
            "submittedTime": "2023-10-01T05:00:00Z",
            "startDate": "2023-09-01T00:00:00",
            "endDate": "2023-09-30T00:00:00",
        },
        "blobs": [{"blobName": f"{folder}/part.snappy.parquet"}],
    }
    lake.land(f"billing/azure/actual/{folder}/part.snappy.parquet", target.getvalue(), AT)
    lake.land(f"billing/azure/actual/{folder}/manifest.json", json.dumps(manifest).encode(), AT)

    assert ingest("azure_actual") == ["loaded"]
    (row,) = lake.rows("SELECT count(*) AS n, sum(x_source_cost)::VARCHAR AS cost FROM charge")
    assert row["n"] == len(lines)
    assert Decimal(row["cost"]) == sum(Decimal(one["Cost"]) for one in lines)


def test_a_month_has_the_same_bytes_however_its_objects_are_cut(lake, object_store, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 16)
    whole = month_of_parts(lake)
    monkeypatch.setattr(parquet, "BATCH_ROWS", 3)
    monkeypatch.setattr(text_rows, "CHUNK_ROWS", 5)

    cut = month_of_parts(Lake(object_store, f"{lake.name}-cut", monkeypatch))

    assert cut == whole
    assert [one["rows"] for entry in whole.values() for one in entry["files"]] == [66]


def month_of_parts(lake: Lake) -> dict:
    """Released files of a month that came in three objects."""
    for part, rows in (("a", 40), ("b", 1), ("c", 25)):
        lines = [line(BilledCost=f"{n}.5", SubAccountId=part) for n in range(rows)]
        lake.land(f"billing/aws/focus_export/e/data/{part}.parquet", as_parquet(lines), AT)
    files = [f"s3://b/e/data/{part}.parquet" for part in "abc"]
    manifest = json.dumps({"executionId": "one", "dataFiles": files})
    place = "billing/aws/focus_export/e/metadata/billing_period=2026-10"
    lake.land(f"{place}/focus-Manifest.json", manifest.encode(), AT)
    assert ingest("aws_focus_export") == ["loaded"]
    return lake.release().body["tables"]["charge"]
