"""usage-export billing: what it prints, how it ends, and that an error says what to do."""

import contextlib
import io
from datetime import datetime

import pytest

from etl import cli
from tests.bills import bill, land, line
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


def test_what_moved_between_two_releases(run):
    code, out, _ = run("diff", "aws", "2026-10", "--from", "1", "--to", "2")

    assert code == 0
    assert out.splitlines() == [
        "2026-10-02 0123 0456 Amazon EC2: 2.5 -> 3 USD (+0.5), 0 lines added, 1 removed, 0 changed, "
        "effective -1.25, list -2, contracted -1.25",
        "together +0.5 USD",
    ]
    assert run("diff", "aws", "2026-10", "--from", "2")[1] == "aws 2026-10: nothing moved\n"


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

    (first, _) = capsys.readouterr().out.splitlines()
    assert ": rejected amount_not_a_number (" in first
    assert first.endswith("one.csv, row 2, column billed_cost)")


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
    assert len(capsys.readouterr().out.splitlines()) == 2, "nothing is known of that month"


def test_a_bill_without_keys_whose_lines_cost_something_else(lake, capsys):
    for day, cost in ((20, "1"), (21, "1234.5")):
        land(lake, f"{day}.csv", bill(line(BilledCost=cost)), datetime(2026, 10, day))
        cli.main(["billing", "ingest", "aws_focus"])
    capsys.readouterr()

    cli.main(["billing", "diff", "aws", "2026-10", "--from", "1"])

    (first, _) = capsys.readouterr().out.splitlines()
    assert first.endswith("1 -> 1,234.5 USD (+1,233.5), as many lines as before")
