"""usage-export billing: what it prints, how it ends, and that an error says what to do."""

import contextlib
import gzip
import io
import os
import re
import shutil
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import pytest

from etl import cli
from etl.settings import ROOT
from sample.bills import bills
from tests.bills import FOLDER, bill, land, line
from tests.conftest import Lake, decide


@pytest.fixture(scope="module")
def said(object_store):
    """Two deliveries of a month, loaded by commands alone; what they printed."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("etl.judge.judge", decide)
        lake, printed = Lake(object_store, "cli-billing", monkeypatch), io.StringIO()
        with contextlib.redirect_stdout(printed):
            land(lake, "one.csv", bill(line(Extra="x"), line(Extra="y")), datetime(2026, 10, 20))
            assert cli.main(["billing", "ingest", "aws_focus"]) == 0
            land(lake, "two.csv", bill(line(BilledCost="3")), datetime(2026, 10, 21))
            assert cli.main(["billing", "ingest", "aws_focus"]) == 0
            assert cli.main(["billing", "ingest", "aws_focus"]) == 0
            assert cli.main(["billing", "ingest", "aws_focus", "--period", "2026-10"]) == 0
        yield printed.getvalue()


@pytest.fixture
def run(said, capsys):
    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = cli.main(["billing", *arguments])
        except SystemExit as error:
            code = int(error.code or 0)
        return code, *capsys.readouterr()

    return run


def test_ingest_tells_each_delivery_the_month_and_the_release(said):
    lines = said.splitlines()

    assert lines[0].endswith(": loaded") and "one.csv" in lines[0]
    assert lines[1] == "aws_focus 2026-10: charges 2, billed USD 2.5"
    assert lines[2] == "release 1"
    assert [one for one in lines if one.startswith("release")] == ["release 1", *["release 2"] * 3]
    assert any(one.startswith("aws_focus: nothing new under s3://landing/") for one in lines)


def test_deliveries_are_listed_with_their_outcome(run):
    code, out, _ = run("deliveries", "aws_focus")

    first, _, second = out.splitlines()
    assert code == 0
    assert first.startswith("aws_focus 2026-10 2026-10-20 00:00 billing/aws/focus/export/")
    assert ": superseded (newer_delivery: " in first and "2 rows" in first
    assert ": loaded, 1 row, 1 object, " in second
    assert run("deliveries")[1] == out
    assert "  columns that the contract does not name: Extra" in out


def test_the_statement_of_an_older_release_is_made_again(run):
    code, out, _ = run("statement", "--release", "1")

    assert code == 0 and out.startswith("Bills of 2026-10, release 1\n")
    assert out.splitlines()[-1].split() == ["together", "USD", "4.00", "2.50", "2.50", "0.00"]
    newest = run("statement")[1]
    assert newest == run("statement", "--period", "2026-10", "--release", "2")[1]
    assert newest.splitlines()[-1].split() == ["together", "USD", "2.00", "3.00", "1.25", "0.50"]


def test_what_moved_between_two_releases(run):
    code, out, _ = run("diff", "aws", "2026-10", "--from", "1", "--to", "2")

    assert code == 0
    assert out.splitlines() == [
        "2026-10-02 0123 0456 Amazon EC2: 2.5 -> 3 USD (+0.5), 0 lines added, 1 removed, 0 changed, "
        "effective -1.25, list -2, contracted -1.25",
        "  Amazon EC2: +0.5 USD, effective -1.25, list -2, contracted -1.25",
        "together +0.5 USD",
    ]
    assert run("diff", "aws", "2026-10", "--from", "2")[1] == "aws 2026-10: nothing moved\n"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("service 2026-10-01 2026-11-01", "AWS,Compute,Amazon EC2,USD,2.000000000000000000,3.0000"),
        ("tag 2026-10-01 2026-11-01 team", "a,USD,1.250000000000000000,1"),
    ],
)
def test_reports_run_as_the_docs_say(said, asked, says):
    (report,) = re.findall(r"^report\(\) .*$", (ROOT / "docs" / "billing.md").read_text(), re.M)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    done = subprocess.run(
        ["bash", "-c", f"{report}\nreport {asked}"],
        env=os.environ | {"PATH": path},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )

    assert done.stdout.splitlines()[1].startswith(says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ingest", "aws_fokus"), "known are aws_cur"),
        (("deliveries", "aws_fokus"), "known are aws_cur"),
        (("ingest", "app_usage"), "a contract of usage: usage-export ingest app_usage"),
        (("ingest", "aws_focus", "--period", "2026-13"), "write YYYY-MM"),
        (("diff", "aws", "2026-10", "--from", "2", "--to", "1"), "--to 1 lies before --from 2"),
        (("diff", "aws", "2026-10", "--from", "77"), "there is no release 77 in s3://lake/"),
        (("diff", "aws", "2026-09", "--from", "1"), "no bill of aws 2026-09 in release 1 or 2"),
        (("statement", "--release", "77"), "there is no release 77 in s3://lake/"),
        (("statement", "--release", "0"), "no bill is loaded in s3://lake/"),
        (("statement", "--release", "0"), ", release 0: usage-export billing ingest"),
        (("diff", "amazon", "2026-10", "--from", "1"), "there are aws 2026-10"),
    ],
)
def test_a_wrong_request_says_what_is_right(run, arguments, says):
    code, out, err = run(*arguments)

    assert code and says in err and not out


def test_a_delivery_that_is_not_loaded_says_why_at_once(lake, capsys):
    body = bill(line(BilledCost="3"), line(BilledCost="1,5"))
    land(lake, "one.csv", body, datetime(2026, 10, 20))

    cli.main(["billing", "ingest", "aws_focus"])

    told, steps = capsys.readouterr()
    (first, _) = told.splitlines()
    assert steps.splitlines()[0] == "aws_focus: reading delivery 1 of 1"
    assert ": rejected amount_not_a_number (" in first
    assert first.endswith("one.csv, row 2, column billed_cost)")


@pytest.mark.parametrize("stream", ["aws_cur2", "aws_cur2_csv", "aws_focus_export"])
def test_a_manifest_may_name_whatever_bucket_its_owner_has(lake, capsys, stream):
    """Unless a contract of theirs names the one."""
    folder = f"billing/aws/{stream.removeprefix('aws_').replace('2_', '2')}"
    body = b'{"executionId": "run", "dataFiles": ["s3://acme-bills/e/gone.parquet"]}'
    place = f"{folder}/e/metadata/BILLING_PERIOD=2026-10/e-Manifest.json"
    lake.land(place, body, datetime(2026, 10, 20))

    assert cli.main(["billing", "ingest", stream]) == 0

    said = capsys.readouterr().out
    assert f"{stream}: run: seen object_missing (" in said and f"{folder}/e/gone.parquet" in said


def test_a_contract_may_name_the_bucket_that_manifests_are_of(lake, capsys, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "contracts", tmp_path / "contracts")
    file = tmp_path / "contracts" / "billing" / "aws_cur2" / "1.0.0.yaml"
    text = file.read_text()
    file.write_text(
        text.replace("prefix: billing/aws/cur2/", "prefix: billing/aws/cur2/\n      bucket: ours")
    )
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(tmp_path / "contracts"))
    body = b'{"executionId": "run", "dataFiles": ["s3://theirs/e/one.parquet"]}'
    place = "billing/aws/cur2/e/metadata/BILLING_PERIOD=2026-10/e-Manifest.json"
    lake.land(place, body, datetime(2026, 10, 20))

    cli.main(["billing", "ingest", "aws_cur2"])

    assert (
        "run: rejected foreign_bucket (theirs, billing.discovery.bucket" in capsys.readouterr().out
    )


def test_an_object_mended_below_its_manifest_is_read_once_its_month_is_asked_for(lake, capsys):
    # given a delivery whose copy was cut off, and then copied again
    folder = "billing/aws/focus_export"
    body = b'{"executionId": "run", "dataFiles": ["s3://b/one.csv.gz"]}'
    place = f"{folder}/x/metadata/billing_period=2026-10/x-Manifest.json"
    whole = gzip.compress(bill(line()))
    lake.land(f"{folder}/one.csv.gz", whole[:-9], datetime(2026, 10, 20))
    lake.land(place, body, datetime(2026, 10, 20))
    ingest = ["billing", "ingest", "aws_focus_export"]
    assert cli.main(ingest) == 1
    lake.land(f"{folder}/one.csv.gz", whole, datetime(2026, 10, 20))

    # then a run says how to have it read, and that loads it
    assert cli.main(ingest) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "an object that the manifest names, was mended" in said
    assert cli.main(said.rpartition("usage-export ")[2].split()) == 0


def test_of_a_delivery_that_vanished_nothing_more_is_known(lake, capsys):
    land(lake, "one.csv", bill(line(BilledCost="1,5")), datetime(2026, 10, 20))
    cli.main(["billing", "ingest", "aws_focus"])
    lake.client.delete_object(Bucket="landing", Key=f"{lake.name}/{FOLDER}/one.csv")
    cli.main(["billing", "ingest", "aws_focus"])
    capsys.readouterr()

    cli.main(["billing", "deliveries", "aws_focus"])

    assert "seen (vanished), " in capsys.readouterr().out


def test_columns_that_nobody_named_are_told_where_they_are_new(lake, capsys):
    for day, more in ((20, {"A": "x"}), (21, {"A": "x"}), (22, {"A": "x", "B": "y"})):
        land(lake, f"{day}.csv", bill(line(**more)), datetime(2026, 10, day))
        cli.main(["billing", "ingest", "aws_focus"])
    capsys.readouterr()

    cli.main(["billing", "deliveries"])

    told = [one for one in capsys.readouterr().out.splitlines() if one.startswith("  ")]
    assert told == [f"  columns that the contract does not name: {names}" for names in ("A", "A,B")]


def test_a_lake_without_bills_says_how_they_come(lake, capsys):
    for arguments in (["deliveries"], ["deliveries", "aws_cur2"], ["statement"]):
        cli.main(["billing", *arguments])

    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "no delivery was seen yet: usage-export billing ingest CONTRACT",
        "no delivery of aws_cur2 was seen yet: usage-export billing ingest aws_cur2",
    ]
    assert "release 0: usage-export billing ingest CONTRACT" in err


def test_a_month_that_is_asked_for_and_not_loaded_is_told_with_what_is_known_of_it(lake, capsys):
    body = b'{"executionId": "run", "dataFiles": ["s3://exports/gone.csv.gz"]}'
    place = "billing/aws/focus_export/x/metadata/billing_period=2026-10/x-Manifest.json"
    lake.land(place, body, datetime(2026, 10, 20))
    ask = ["billing", "ingest", "aws_focus_export", "--period"]
    cli.main([*ask, "2026-10"])
    capsys.readouterr()

    cli.main([*ask, "2026-10"])
    (told, delivery, _) = capsys.readouterr().out.splitlines()
    assert "nothing new under s3://landing/" in told and told.endswith("/*-Manifest.json")
    assert "aws_focus_export 2026-10 2026-10-20 00:00 run: seen (object_missing: " in delivery

    cli.main(ask[:-1])
    assert delivery in capsys.readouterr().out.splitlines(), "a delivery is waited for"

    cli.main([*ask, "2026-09"])
    (_, known, _) = capsys.readouterr().out.splitlines()
    assert known == "  no delivery of 2026-09 is known, there are deliveries of 2026-10"


def test_a_bill_whose_deliveries_add_rows_is_asked_for_by_the_month_they_came_in(lake, capsys):
    made = [one for one in bills(7, date(2026, 11, 18)) if one.key.startswith("billing/gcp/")]
    for one in made:
        lake.land(one.key, one.body, one.delivered_at)
    ask = ["billing", "ingest", "gcp_billing"]
    cli.main(ask)
    capsys.readouterr()

    cli.main([*ask, "--period", "2026-10"])

    (_, known, _) = capsys.readouterr().out.splitlines()
    assert known == (
        "  no delivery of 2026-10 is known, there are deliveries of 2026-11: these add rows, and are of the month "
        "in which they came in, whatever months they bill"
    )


def test_a_bill_without_keys_whose_lines_cost_something_else(lake, capsys):
    for day, cost in ((20, "1"), (21, "1234.5")):
        land(lake, f"{day}.csv", bill(line(BilledCost=cost)), datetime(2026, 10, day))
        cli.main(["billing", "ingest", "aws_focus"])
    capsys.readouterr()

    cli.main(["billing", "diff", "aws", "2026-10", "--from", "1"])

    (first, *_) = capsys.readouterr().out.splitlines()
    assert first.endswith("1 -> 1,234.5 USD (+1,233.5), as many lines as before")


def test_what_moved_is_summed_by_service_and_currency_the_largest_first(lake, capsys):
    def line_of(day: int, service: str, cost: str, currency: str = "USD") -> dict:
        of = {"ChargePeriodStart": f"2026-10-{day:02}", "ChargePeriodEnd": f"2026-10-{day + 1:02}"}
        account = {"BillingAccountId": currency, "EffectiveCost": cost, "ContractedCost": cost}
        moved = {"BilledCost": cost, "ListCost": cost, "BillingCurrency": currency}
        return line(ServiceName=service) | of | account | moved

    large = "10000000000.000000000000000001"  # two of them have more digits than Python's own 28
    for day, cost in ((20, "0"), (21, large)):
        lines = (
            *(line_of(n, "S3", cost) for n in (1, 2, 3)),
            *(line_of(n, "EC2", f"-{cost}") for n in (1, 2, 3, 4)),
            line_of(1, "S3", "0" if day == 20 else "1", "EUR"),
            line_of(1, "Lambda", "7"),
        )
        land(lake, f"{day}.csv", bill(*lines), datetime(2026, 10, day))
        cli.main(["billing", "ingest", "aws_focus"])
    capsys.readouterr()

    cli.main(["billing", "diff", "aws", "2026-10", "--from", "1"])

    told = capsys.readouterr().out.splitlines()
    assert len(told) == 8 + 3 + 2
    assert told[8:] == [
        "  S3: +1 EUR",
        "  EC2: -40,000,000,000.000000000000000004 USD",
        "  S3: +30,000,000,000.000000000000000003 USD",
        "together +1 EUR",
        "together -10,000,000,000.000000000000000001 USD",
    ]


def test_services_whose_names_begin_alike_are_told_apart(lake, capsys):
    names = ("Amazon Elastic Container Service", "Amazon Elastic Container Service for Kubernetes")
    body = bill(*(line(ServiceName=name) for name in names))
    land(lake, "one.csv", body, datetime(2026, 10, 20))
    cli.main(["billing", "ingest", "aws_focus"])
    capsys.readouterr()

    cli.main(["billing", "statement"])

    head, *services, together = capsys.readouterr().out.splitlines()[3:]
    assert [one.partition("  USD")[0].strip() for one in services] == [*names]
    assert {len(one) for one in (head, *services, together)} == {len(head)}


def test_names_that_would_steer_a_terminal_stand_as_their_escapes(lake, capsys):
    evil = {"ServiceName": "S3: 1 -> 2 USD\ntogether +0 USD\x1b[2J", "x_\x1b[2J": "1"}
    for day, cost in ((20, "1"), (21, "2")):
        body = bill(line(BilledCost=cost) | evil)
        land(lake, f"{day}.csv", body, datetime(2026, 10, day))
        cli.main(["billing", "ingest", "aws_focus"])
    capsys.readouterr()

    cli.main(["billing", "diff", "aws", "2026-10", "--from", "1"])
    cli.main(["billing", "deliveries", "aws_focus"])

    out = capsys.readouterr().out
    assert "\x1b" not in out and r"\ntogether +0 USD\x1b[2J: 1 -> 2 USD" in out
    assert [one for one in out.splitlines() if one.startswith("together")] == ["together +1 USD"]
