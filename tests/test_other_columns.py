"""What a provider wrote beside the columns of FOCUS is kept under its name; who made a resource is not."""

import csv
import gzip
import io
import json
from datetime import datetime

import pyarrow as pa
import pytest

from etl import sql
from etl.billing import aliases, stages, typed
from etl.billing import contract as billing_contract
from etl.settings import ROOT
from tests.bills import bill, land, line, mapped
from tests.models import plain_engine
from tests.test_model_normalize_aws import LINE as CUR
from tests.test_model_normalize_others import AZURE, GCP, OCI

AT = datetime(2026, 10, 20)


def others(stream: str, *lines: dict) -> list[dict | None]:
    return [row["x_other_columns"] for row in mapped(stream, *lines)]


def test_columns_that_no_contract_names_are_kept_as_text_without_empty_ones():
    extra = {"x_Own": "ours", "x_Void": "", "x_Null": "NULL", "x_Map": '{"a": 1}', "x_None": "{}"}

    assert others("aws_focus", line(**extra), line(**dict.fromkeys(extra, ""))) == [
        {"x_Own": "ours", "x_Map": '{"a": 1}'},
        None,
    ]
    assert others("aws_focus", line()) == [None]


def test_a_property_beside_focus_has_one_name_whatever_the_export_calls_it():
    for name in ("MeterSubCategory", "Unterkategorie (meterSubcategory)"):
        (kept,) = others("azure_actual", AZURE | {name: "Block Blob"})
        assert kept["x_meter_sub_category"] == "Block Blob"


@pytest.mark.parametrize("stream", ["aws_focus", "aws_cur2", "aws_cur2_csv", "aws_cur", "oci_cost"])
@pytest.mark.parametrize("name", ["x_CreatedBy", "created-by-user", "aws:createdBy"])
def test_who_made_a_resource_is_not_kept_under_another_name(stream, name):
    given = {"aws_focus": line(), "oci_cost": OCI}.get(stream, CUR)
    hidden = {"x_Deep": '{"a": {"created_by": "jane"}}', "x_Tags": '{"Created By": "jane", "a": 1}'}

    (kept,) = others(stream, given | {name: "jane"} | hidden)

    assert kept["x_Tags"] == '{"a":1}'
    assert "jane" not in json.dumps(kept)


PAIRS = [{"key": "created_by", "value": "jane"}, {"key": "user_team", "value": "a"}]
TAGS = '{"aws:createdBy": "jane", "user_team": "a"}'


@pytest.mark.parametrize(
    ("stream", "given"),
    [
        ("aws_focus", line(Tags=TAGS)),
        ("aws_cur2", CUR | {"resource_tags": TAGS.replace("aws:createdBy", "aws_created_by")}),
        ("aws_cur2", CUR | {"resource_tags": TAGS.replace("aws:createdBy", r"aws_cre\u0061ted_by")}),
        ("aws_cur2_csv", CUR | {"resource_tags": TAGS}),
        ("aws_cur2", CUR | {"tags": TAGS}),
        ("aws_cur", CUR | {"resourceTags/aws:createdBy": "jane", "resourceTags/user_team": "a"}),
        ("aws_cur", CUR | {"resourceTags/user:CreatedBy": "jane", "resourceTags/user_team": "a"}),
        ("oci_cost", OCI | {"tags/Oracle-Tags.CreatedBy": "jane", "tags/Team.Name": None, "tags/user_team": "a"}),
        ("azure_actual", AZURE | {"Tags": '"CreatedBy": "jane","user_team": "a"'}),
        ("gcp_billing", GCP | {"project": {"id": "p"}, "labels": PAIRS}),
    ],
)  # fmt: skip
def test_who_made_a_resource_is_dropped_from_the_tags_of_every_export(stream, given):
    (row,) = mapped(stream, given)

    assert (row["row_problem"], json.loads(row["tags"])) == (None, {"user_team": "a"})


def test_members_of_a_json_line_that_nobody_names_are_kept_with_their_path():
    given = GCP | {
        "project": {"id": "p", "number": "7", "labels": []},
        "price": {"tier": 1},
        "tags": [{"key": "a", "value": "b"}],
        "void": None,
        "odd/~name": "x",
        "it's": 1,
        "\0": 1,
    }

    (kept,) = others("gcp_billing", given)

    names = {"project.number": "7", "price": '{"tier":1}', "odd/~name": "x"}
    assert {name: kept.get(name) for name in names} == names
    assert json.loads(kept["tags"]) == given["tags"]
    assert kept["it's"] == "1" and not {"void", "\0"} & kept.keys()


def test_members_of_a_structure_in_parquet_are_kept_with_their_path():
    contract = billing_contract.load(ROOT / "contracts", "gcp_billing_parquet")
    given = GCP | {"project": {"id": "p", "number": "7", "labels": []}, "price": {"tier": 1}}
    rows = pa.Table.from_pylist([given]).append_column("x_row", pa.array([1], pa.int64()))
    engine = plain_engine()

    columns = aliases.resolve(contract, rows.column_names[:-1])
    unknown = typed.bind(engine, contract, columns, rows).unknown
    (row,) = sql.rows(engine, "SELECT x_row.other_columns AS x_other_columns FROM raw")

    kept = row["x_other_columns"]
    assert (kept["project.number"], kept["price"]) == ("7", '{"tier":1}')
    assert {"project.number", "price"} <= unknown


def test_they_are_published_and_told_of_their_delivery(lake, quick_judge):
    land(lake, "one.csv", bill(line(x_Own="ours", x_CreatedBy="jane")), datetime(2026, 10, 20))
    stages.ingest("aws_focus", "first")

    (row,) = lake.rows("SELECT x_other_columns['x_Own'] AS own, x_other_columns AS all FROM charge")
    assert row == {"own": "ours", "all": {"x_Own": "ours"}}
    assert lake.rows("SELECT x_OtherColumns AS text FROM focus_1_2") == [
        {"text": '{"x_Own":"ours"}'}
    ]
    told = lake.rows("SELECT unknown_columns AS names FROM delivery")
    assert told == [{"names": "x_CreatedBy,x_Own"}]


@pytest.mark.parametrize("stream", billing_contract.streams(ROOT / "contracts"))
def test_every_property_of_a_contract_is_mapped_or_kept(stream):
    contract = billing_contract.load(ROOT / "contracts", stream)
    text = sql.model(contract.mapping.sql)

    visible = [one.name for one in contract.properties if one.privacy == "none"]
    assert [name for name in visible if name not in text and not name.startswith("x_")] == []


def test_tags_whose_names_differ_in_case_or_spaces_alone_are_each_kept(lake, quick_judge):
    # given a legacy report of an account that has activated tags of like names, as AWS lets it
    tags = {
        "resourceTags/user:Cost Center": "1",
        "resourceTags/user:CostCenter": "2",
        "resourceTags/user:costCenter": "3",
    }
    own = {"own/Column": "a", "own/column": "b"}
    text = io.StringIO()
    writer = csv.DictWriter(text, [*CUR, *tags, *own])
    writer.writeheader()
    writer.writerow(CUR | tags | own)
    lake.land("billing/aws/r.csv.gz", gzip.compress(text.getvalue().encode()), AT)
    manifest = {
        "assemblyId": "a",
        "reportKeys": ["r.csv.gz"],
        "billingPeriod": {"start": "20261001T000000.000Z", "end": "20261101T000000.000Z"},
    }
    folder = "billing/aws/cur/report/20261001-20261101"
    lake.land(f"{folder}/report-Manifest.json", json.dumps(manifest).encode(), AT)

    stages.ingest("aws_cur", "first")

    (row,) = lake.rows("SELECT tags, x_other_columns FROM charge")
    assert json.loads(row["tags"]) == {name.split("/")[1]: one for name, one in tags.items()}
    assert row["x_other_columns"].items() >= own.items()
