"""Deliveries on bad days: a clear outcome each, no line lost, none doubled, and a rerun heals."""

import gzip
import json
import random
import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import yaml

from deploy.embedded.environment import ROOT
from etl import sweep
from etl.billing import stages
from etl.errors import ContractError, ObjectChanged, StaleInput
from etl.settings import Location
from etl.store import Store
from tests.bills import bill, land, line
from tests.conftest import Lake
from tests.test_billing import billed, states
from tests.test_kill import LATER, Drill, bytes_of, published

pytestmark = pytest.mark.usefixtures("quick_judge")

FIRST, SECOND = datetime(2026, 10, 20, 6), datetime(2026, 10, 21, 6)
MONTH = "billing/aws/focus/x/billing_period=2026-10"
OCI = "billing/oci/focus/x/2026/10/02/one.csv"
LEAST_KILLS = 4
MANIFEST = {
    "path": "billing/aws/focus/**/billing_period={yyyy}-{MM}/manifest.json",
    "prefix": "billing/aws/focus/",
    "manifest": {"id": "executionId", "objects": "dataFiles"},
}


@pytest.fixture
def contract(tmp_path, monkeypatch):
    """Change the contract aws_focus: its discovery, and its compression."""
    folder = tmp_path / "contracts"

    def change(compression: str = "none", **discovery: object) -> None:
        shutil.copytree(ROOT / "contracts", folder)
        (file,) = (folder / "billing" / "aws_focus").glob("*.yaml")
        body = yaml.safe_load(file.read_text())
        own = {one["property"]: one for one in body["customProperties"]}
        own["billing.discovery"]["value"] |= discovery
        own["billing.reader"]["value"]["compression"] = compression
        file.write_text(yaml.safe_dump(body, sort_keys=False))
        monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(folder))

    return change


def manifest(lake, run: str, *names: str, at: datetime = FIRST, **more: object) -> None:
    body = {"executionId": run, "dataFiles": [f"x/{name}" for name in names]} | more
    lake.land(f"{MONTH}/manifest.json", json.dumps(body).encode(), at)


# ---- while it runs


def test_kills_leave_the_lake_of_an_undisturbed_run(lake, object_store, monkeypatch):
    # given bills that replace and bills that append, and a lake as it comes out undisturbed
    land(lake, "one.csv", bill(line(), line(BilledCost="7")), FIRST)
    land(lake, "two.csv", bill(line(BilledCost="3")), SECOND)
    lake.land(OCI, bill(line(BilledCost="5")), FIRST)
    lake.land(OCI.replace("one", "two"), bill(line(BilledCost="6")), SECOND)
    steps = [*steps_of("oci_focus", 2), *steps_of("aws_focus", 1)]
    drill, rng = Drill("billing"), random.Random(7)
    try:
        assert drill.attempt(lake, steps)["error"] is None
        other = Lake(object_store, f"{lake.name}-killed", monkeypatch)
        other.settings["USAGE_EXPORT_LANDING"] = lake.settings["USAGE_EXPORT_LANDING"]

        # when workers die one after another, each beginning with the step that was not done
        done = killed = 0
        while done < len(steps):
            when = rng.choice(("before", "after"))
            told = drill.attempt(other, steps[done:], rng.randint(5, 40), when)
            assert told["error"] is None and (told["killed"] or done + told["done"] == len(steps))
            killed += told["killed"]
            done += told["done"]
        assert killed >= LEAST_KILLS
    finally:
        drill.process.kill()
        drill.process.wait()

    # then the release is the same, and every object in the lake, byte for byte
    assert published(other) == published(lake)
    sweep.sweep(Store(Location("lake", f"{other.name}/")), "sweep", LATER, LATER)
    assert bytes_of(other) == bytes_of(lake)


def steps_of(stream: str, loads: int) -> list:
    run = f"run-{stream}"
    read = [["load", stream, run, number] for number in range(loads)]
    rest = [[verb, stream, run] for verb in ("settle", "validate", "publish")]
    return [["deliver", stream, run], *read, *rest]


@pytest.mark.parametrize("swapped", ["manifest.json", "a.csv"])
def test_a_delivery_that_is_swapped_while_it_is_read_is_not_loaded(lake, contract, swapped):
    contract(**MANIFEST)
    lake.land(f"{MONTH}/a.csv", bill(line()), FIRST)
    manifest(lake, "first", "billing_period=2026-10/a.csv")
    assert stages.deliver("aws_focus", "run")["loads"] == [0]

    # when the provider writes the next delivery over it
    if swapped == "a.csv":
        lake.land(f"{MONTH}/a.csv", bill(line(BilledCost="3")), SECOND)
    manifest(lake, "second", "billing_period=2026-10/a.csv", at=SECOND)

    # then what was planned is refused, and the run after it loads what lies there
    with pytest.raises(ObjectChanged):
        stages.load("aws_focus", "run", 0)
    stages.ingest("aws_focus", "again")
    assert states(lake) == {"second": ("loaded", None)}
    assert billed(lake) == {"USD": Decimal("3" if swapped == "a.csv" else "1.25")}


def test_of_two_runs_of_one_contract_one_loses_and_is_right_when_it_runs_again(lake):
    land(lake, "one.csv", bill(line()), FIRST)
    stages.deliver("aws_focus", "slow")
    stages.load("aws_focus", "slow", 0)
    stages.settle("aws_focus", "slow")
    stages.validate("aws_focus", "slow")
    land(lake, "two.csv", bill(line(BilledCost="3")), SECOND)
    stages.ingest("aws_focus", "fast")

    with pytest.raises(StaleInput):
        stages.publish("aws_focus", "slow")
    stages.ingest("aws_focus", "slow")

    assert states(lake) == {
        "one.csv": ("superseded", "newer_delivery"),
        "two.csv": ("loaded", None),
    }
    assert billed(lake) == {"USD": Decimal("3")}


def test_a_sweep_spares_what_a_release_names_and_what_was_kept_of_the_provider(lake):
    land(lake, "one.csv", bill(line()), FIRST)
    stages.ingest("aws_focus", "first")
    land(lake, "two.csv", bill(line(BilledCost="3")), SECOND)
    stages.ingest("aws_focus", "second")
    land(lake, "three.csv", bill(line(BilledCost="4")), datetime(2026, 10, 22))
    stages.deliver("aws_focus", "died")
    stages.load("aws_focus", "died", 0)
    kept = set(lake.keys("_kept/"))

    gone = sweep.sweep(Store(Location("lake", f"{lake.name}/")), "sweep", LATER, LATER)

    assert [key.split("/")[0] for key in gone.staged] == ["charge"]  # of the run that died
    assert set(lake.keys("_kept/")) == kept and len(kept) == 3
    for release, cost in ((1, "1.25"), (2, "3")):
        (row,) = lake.rows("SELECT billed_cost FROM charge", release)
        assert row["billed_cost"] == Decimal(cost)
    stages.ingest("aws_focus", "died")
    assert billed(lake) == {"USD": Decimal("4")}


# ---- what is delivered


def test_a_manifest_that_names_a_missing_file_waits_for_it(lake, contract):
    contract(**MANIFEST)
    lake.land(f"{MONTH}/a.csv", bill(line()), FIRST)
    manifest(lake, "run", "billing_period=2026-10/a.csv", "billing_period=2026-10/b.csv")
    stages.ingest("aws_focus", "first")
    assert states(lake) == {"run": ("seen", "object_missing")}
    assert not lake.release().partitions("charge")

    lake.land(f"{MONTH}/b.csv", bill(line(BilledCost="3")), SECOND)
    stages.ingest("aws_focus", "second")
    assert states(lake) == {"run": ("loaded", None)}
    assert billed(lake) == {"USD": Decimal("4.25")}


def test_objects_newer_than_their_manifest_wait_for_the_one_that_is_being_written(lake, contract):
    """AWS overwrites the objects first, the manifest last: under the old one they would be of two deliveries."""
    contract(**MANIFEST)
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    names = [f"billing_period=2026-10/{one}.csv" for one in "ab"]
    for name in "ab":
        lake.land(f"{MONTH}/{name}.csv", bill(line()), now - timedelta(hours=8))
    manifest(lake, "old", *names, at=now - timedelta(hours=7))
    lake.land(f"{MONTH}/a.csv", bill(line(BilledCost="3")), now)
    stages.ingest("aws_focus", "while-written")
    assert states(lake) == {"old": ("seen", "objects_newer")}
    assert not lake.release().partitions("charge")

    lake.land(f"{MONTH}/b.csv", bill(line(BilledCost="4")), now)
    manifest(lake, "new", *names, at=now + timedelta(seconds=1))
    stages.ingest("aws_focus", "written")
    assert states(lake) == {"old": ("seen", "vanished"), "new": ("loaded", None)}
    assert billed(lake) == {"USD": Decimal("7")}

    lake.land(f"{MONTH}/a.csv", bill(line(BilledCost="9")), now + timedelta(minutes=5))
    stages.ingest("aws_focus", "while-written-again")
    stages.ingest("aws_focus", "asked-for", "2026-10")
    assert states(lake)["new"] == ("loaded", None)
    assert billed(lake) == {"USD": Decimal("7")}


def test_a_copy_that_brought_the_manifest_first_is_loaded_once_it_lies_still(lake, contract):
    contract(**MANIFEST)
    manifest(lake, "run", "billing_period=2026-10/a.csv", at=FIRST)
    lake.land(f"{MONTH}/a.csv", bill(line()), SECOND)
    stages.ingest("aws_focus", "first")
    assert states(lake) == {"run": ("loaded", None)}


def test_a_copied_contract_without_a_property_that_its_mapping_reads_says_which(
    lake, contract, tmp_path
):
    """Shipped contracts get properties with an upgrade, copies of them for a second account do not."""
    contract()
    (file,) = (tmp_path / "contracts/billing/aws_focus").glob("*.yaml")
    body = yaml.safe_load(file.read_text())
    table = body["schema"][0]
    table["properties"] = [one for one in table["properties"] if one["name"] != "region_id"]
    file.write_text(yaml.safe_dump(body))
    land(lake, "one.csv", bill(line()), FIRST)
    with pytest.raises(ContractError, match=r'aws_focus.*"region_id".*copied from a shipped one'):
        stages.ingest("aws_focus", "first")


def test_equal_objects_of_a_delivery_have_one_copy_and_count_each(lake, contract):
    """They are fetched at once, and kept under their content."""
    contract(**MANIFEST)
    body = bill(line())
    for number in range(6):
        lake.land(f"{MONTH}/{number}.csv", body, FIRST)
    names = [f"billing_period=2026-10/{number}.csv" for number in range(6)]
    manifest(lake, "run", *names)
    stages.ingest("aws_focus", "first")

    assert billed(lake) == {"USD": Decimal("7.5")}
    found = lake.rows("SELECT object_key, kept_key, rows FROM delivery_object ORDER BY 1")
    assert [row["object_key"][-5:] for row in found] == [f"{number}.csv" for number in range(6)]
    assert {row["rows"] for row in found} == {1}
    (kept,) = {row["kept_key"] for row in found}
    assert lake.read(kept) == body


def test_a_truncated_object_refuses_its_delivery_until_it_lands_whole(lake, contract):
    contract("gzip", path="billing/aws/focus/**/billing_period={yyyy}-{MM}/*.csv.gz")
    whole = gzip.compress(bill(line()), mtime=0)
    lake.land(f"{MONTH}/a.csv.gz", whole[:-9], FIRST)
    stages.ingest("aws_focus", "first")
    assert states(lake) == {"a.csv.gz": ("rejected", "object_truncated")}

    lake.land(f"{MONTH}/a.csv.gz", whole, SECOND)
    stages.ingest("aws_focus", "second")
    assert billed(lake) == {"USD": Decimal("1.25")}


def test_another_version_of_the_data_set_is_not_mixed_in(lake, contract):
    version = MANIFEST["manifest"] | {"dataset_version": "exportConfig.dataVersion"}
    contract(**MANIFEST | {"manifest": version, "dataset_version": "1.0"})
    lake.land(f"{MONTH}/a.csv", bill(line()), FIRST)
    manifest(lake, "old", "billing_period=2026-10/a.csv", exportConfig={"dataVersion": "1.0"})
    stages.ingest("aws_focus", "first")
    manifest(
        lake, "new", "billing_period=2026-10/a.csv", at=SECOND, exportConfig={"dataVersion": "1.2"}
    )
    stages.ingest("aws_focus", "second")

    assert states(lake) == {"old": ("loaded", None), "new": ("rejected", "dataset_version")}
    assert billed(lake) == {"USD": Decimal("1.25")}


def test_marks_before_the_header_and_before_the_first_row_belong_to_no_value(lake):
    header, rest = bill(line(BillingAccountId="7")).split(b"\n", 1)
    mark = b"\xef\xbb\xbf"
    land(lake, "one.csv", mark + header + b"\n" + mark + rest, FIRST)
    stages.ingest("aws_focus", "first")

    assert states(lake) == {"one.csv": ("loaded", None)}
    assert billed(lake) == {"USD": Decimal("1.25")}


@pytest.mark.parametrize(
    "columns",
    [{f"x_{n}": "" for n in range(5000)}, {f"x_{n}_{'n' * 1100}": "" for n in range(1000)}],
    ids=["5,000 of them", "longer than a header is read"],
)
def test_a_header_beyond_its_bounds_refuses_the_delivery(lake, columns):
    land(lake, "one.csv", bill(line() | columns), FIRST)
    stages.ingest("aws_focus", "first")

    assert states(lake) == {"one.csv": ("rejected", "too_many_columns")}


def test_hostile_tags_come_through_as_they_are(lake):
    tags = [
        {'say "hi"\n': "line\r\nend, \\ '; DROP TABLE charge; --"},
        {"formula": '=HYPERLINK("http://x","y")', "": "no key"},
        {"long": "x" * (1 << 20)},
        {"\u202eturned": "\x1b[31m", "emoji": "\U0001f4b8"},
    ]
    land(lake, "one.csv", bill(*(line(Tags=json.dumps(one)) for one in tags)), FIRST)
    stages.ingest("aws_focus", "first")

    assert states(lake) == {"one.csv": ("loaded", None)}
    found = lake.rows("SELECT tags::VARCHAR AS tags FROM charge ORDER BY x_row")
    assert [json.loads(row["tags"]) for row in found] == tags
    assert billed(lake) == {"USD": Decimal("5")}


# ---- where it lies


def test_a_path_whose_case_differs_between_runs_is_one_place(lake, contract):
    contract(path="billing/AWS/focus/billing_period={yyyy}-{MM}/*.csv")
    lake.land("billing/aws/focus/billing_period=2026-10/one.csv", bill(line()), FIRST)
    lake.land(
        "billing/AWS/Focus/BILLING_PERIOD=2026-10/two.csv", bill(line(BilledCost="3")), SECOND
    )
    stages.ingest("aws_focus", "first")

    assert states(lake) == {
        "one.csv": ("superseded", "newer_delivery"),
        "two.csv": ("loaded", None),
    }
    assert billed(lake) == {"USD": Decimal("3")}


@pytest.mark.parametrize("again", [OCI, OCI.replace("/x/", "/X/")], ids=["same key", "other case"])
def test_an_object_that_is_delivered_again_replaces_its_own_rows(lake, again):
    lake.land(OCI, bill(line(), line(BilledCost="2")), FIRST)
    lake.land(OCI.replace("one", "two"), bill(line(BilledCost="10")), FIRST)
    stages.ingest("oci_focus", "first")
    assert billed(lake) == {"USD": Decimal("13.25")}

    lake.land(again, bill(line(BilledCost="4")), SECOND)
    stages.ingest("oci_focus", "second")
    assert billed(lake) == {"USD": Decimal("14")}

    release = lake.release()
    stages.ingest("oci_focus", "third")
    assert lake.release() == release


def test_a_month_that_lost_all_its_charges_never_comes_back_in_silence(lake):
    for day, lines in ((20, [line()]), (21, []), (22, [line(BilledCost="2")]), (23, [])):
        lake.land(OCI, bill(*lines), datetime(2026, 10, day))
        stages.ingest("oci_focus", f"day {day}")

    moved = lake.rows("""
        SELECT replaced, billed_difference::VARCHAR AS billed, rows_added - rows_removed AS rows
        FROM charge_restatement ORDER BY replaced""")
    assert [(row["replaced"], Decimal(row["billed"]), row["rows"]) for row in moved] == [
        (1, Decimal("-1.25"), -1),
        (2, Decimal("2"), 1),
        (3, Decimal("-2"), -1),
    ]


def test_an_object_that_lies_there_under_two_spellings_counts_once(lake):
    lake.land(OCI, bill(line()), FIRST)
    lake.land(OCI.replace("/x/", "/X/"), bill(line(BilledCost="4")), SECOND)
    stages.ingest("oci_focus", "first")
    stages.ingest("oci_focus", "second")

    assert billed(lake) == {"USD": Decimal("4")}
    found = lake.rows("SELECT state FROM delivery ORDER BY submitted_at")
    assert [row["state"] for row in found] == ["superseded", "loaded"]


def test_an_object_that_comes_back_to_what_it_was_is_what_counts(lake):
    for at, cost in ((FIRST, "1"), (SECOND, "2"), (datetime(2026, 10, 22), "1")):
        lake.land(OCI, bill(line(BilledCost=cost)), at)
        stages.ingest("oci_focus", f"at {at}")

    assert billed(lake) == {"USD": Decimal("1")}
