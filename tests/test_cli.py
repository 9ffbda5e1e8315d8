"""The command usage-export: what it prints, how it ends, and that an error says what to do."""

import contextlib
import csv
import fcntl
import io
import json
import os
import re
import select
import shutil
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import boto3
import pytest

from etl import cli, contract, layout, lookup, release
from etl.settings import ROOT
from tests.conftest import Lake, decide
from tests.events import DAY, evening, event, key, lines
from tests.hostile import access

COMMAND = Path(sys.executable).parent / "usage-export"
DAILY = "SELECT meter, sum(quantity)::DECIMAL(38,9) AS q FROM usage_daily GROUP BY ALL"
NEXT = date(2026, 11, 19)
NO_DAY = "is no day: write a day of the calendar as YYYY-MM-DD"
STREAMS = ("app_usage", "cloudtrail", "s3_access")
WITHOUT_BILLS = shutil.ignore_patterns("billing")  # checking those takes seconds
BILLS = sorted(path.name for path in (ROOT / "contracts" / "billing").iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def said(object_store):
    """A lake made by commands alone; what ingest and build printed."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("etl.judge.judge", decide)
        lake = Lake(object_store, "cli", monkeypatch)
        lake.land(key(), lines(event("a", "0.000000001"), event("b", 6), "{"), evening())
        lake.land(key(NEXT, offset=3), lines(event("c", at="2026-11-19T01:00:00Z")), evening(NEXT))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            range_of_days = ["--landed", "2026-11-18", "--to", "2026-11-19"]
            assert cli.main(["ingest", "app_usage", *range_of_days]) == 0
            day = ["--usage-date", "2026-11-18"]
            assert cli.main(["build", *day, "--stream", "app_usage"]) == 0
        yield lake, printed.getvalue()


@pytest.fixture
def run(said, capsys):
    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = cli.main(arguments)
        except SystemExit as error:
            code = int(error.code or 0)
        return code, *capsys.readouterr()

    return run


def test_ingest_and_build_say_what_became_of_the_rows_and_what_comes_next(said):
    first, second, *rest = said[1].splitlines()

    assert first.startswith(
        "app_usage landed 2026-11-18: objects 1, objects_refused 0, objects_unread 0"
    )
    assert "rows_in 3, rows_out 2, rows_quarantined 1" in first
    assert second.endswith("release 2, usage_dates 2026-11-18, 2026-11-19")
    assert rest[:2] == [
        "next: usage-export build --usage-date 2026-11-18 --stream app_usage",
        "next: usage-export build --usage-date 2026-11-19 --stream app_usage",
    ]
    assert "SELECT landed_date, reason, count(*) FROM quarantine" in rest[2]
    assert rest[3] == "app_usage 2026-11-18: rows_in 2, rows_out 2, release 3"


def test_a_date_without_rows_has_nothing_to_build(run):
    assert run("build", "--usage-date", "2020-01-01") == (
        0,
        "no stream of a contract has rows on 2020-01-01: nothing to build\n",
        "",
    )


def test_statement_is_text_or_json_of_a_date_or_of_the_newest(run):
    code, text, _ = run("statement", "--usage-date", "2026-11-18")
    assert (code, text.splitlines()[0]) == (0, "Usage date 2026-11-18 (UTC), release 3")
    assert run("statement")[1] == text
    body = json.loads(run("statement", "--json")[1])
    assert body["streams"][0]["totals"][0]["quantity"] == "6.000000001"


def test_the_statement_of_an_older_release_is_made_again(run):
    day = ("--usage-date", "2026-11-18")
    of = ("statement", *day, "--release")

    assert run(*of, "3")[1] == run("statement")[1]
    assert run(*of, "3", "--json")[1] == run("statement", "--json")[1]
    early = json.loads(run(*of, "2", "--json")[1])
    assert early["release"] == 2 and early["streams"][0]["totals"] == []
    code, _, error = run(*of, "99")
    assert code == 1 and "SourceError: there is no release 99 in s3://lake/cli" in error


def test_replay_tells_each_step_and_lists_what_would_change(run, said, quick_judge):
    dates = ("--from", "2026-11-18", "--to", "2026-11-19")
    code, out, steps = run("replay", "app_usage", *dates, "--reason", "a second look", "--dry-run")

    assert code == 0
    assert steps.splitlines()[1:] == [
        "read batch 1 of 1",
        "built usage date 2026-11-18, 1 of 2",
        "built usage date 2026-11-19, 2 of 2",
    ]
    head, *_ = out.splitlines()
    assert head == "Replay of app_usage, landed 2026-11-18 to 2026-11-19"
    assert "  reason       a second look\n" in out
    assert re.search(r"2026-11-19  api_calls Requests +0 +1 +\+1  events 0, 1, \+1\n", out)
    assert "  unchanged: 1 total\n" in out
    assert "  usage_daily: 1 added, 1 kept\n    added       usage_date=2026-11-19/" in out
    assert out.splitlines()[-1].startswith("dry run on release 3: would publish one release: ")
    assert said[0].release().number == 3


def test_sql_prints_exact_numbers_in_every_format(run):
    code, table, _ = run("sql", DAILY)
    assert code == 0 and "6.000000001" in table and "api_calls" in table
    assert run("sql", DAILY, "--format", "csv") == (0, "meter,q\napi_calls,6.000000001\n", "")
    _, text, _ = run("sql", DAILY, "--format", "json")
    assert json.loads(text) == [{"meter": "api_calls", "q": "6.000000001"}]
    odd = "SELECT 'a,\"b' || chr(10) AS x, NULL AS n"
    assert list(csv.reader(io.StringIO(run("sql", odd, "--format", "csv")[1])))[1] == ['a,"b\n', ""]


def test_sql_reads_an_older_release_by_its_number(run):
    arguments = ("sql", DAILY, "--format", "csv", "--release")
    assert run(*arguments, "2")[1] == "meter,q\n"
    assert run(*arguments, "3")[1] == "meter,q\napi_calls,6.000000001\n"
    code, _, error = run(*arguments, "99")
    assert code == 1 and "SourceError: there is no release 99 in s3://lake/cli" in error
    assert error.rstrip().endswith(": the current one is 3")


def test_sql_says_why_a_query_failed(run):
    code, out, error = run("sql", "SELECT nothing FROM usage_daily")

    assert (code, out) == (1, "")
    assert error.startswith("usage-export: SettingError: the query failed: Binder Error")


def test_sql_loses_no_column_in_json(run):
    code, out, error = run("sql", "SELECT 1 AS old, 2 AS q, 3 AS q", "--format", "json")

    assert (code, out) == (1, "")
    assert "two columns are named q, and JSON would keep one: name them apart with AS" in error


def test_a_page_that_cannot_be_written_is_told_without_a_traceback(run, tmp_path):
    code, out, error = run("statement", "--html", str(tmp_path / "none" / "page.html"))

    assert (code, out) == (1, "")
    assert "SettingError" in error and "none/page.html: No such file or directory" in error


def test_contracts_check_names_each_version(run):
    assert run("contracts", "check") == (
        0,
        "".join(f"{one} 1.0.0: good\n" for one in (*STREAMS, *BILLS)),
        "",
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("format: json_lines", "format: xml", "usage.reader.format"),
        ("version: 1.0.0", "version: 1.0.1", "id and version must be app_usage and 1.0.0"),
        ("status: active", "status: draft", "exactly one version must have status: active"),
        ("sql: normalize/app_usage", "sql: normalize/none", "sql/normalize/none.sql"),
        ("kind: DataContract", "knd: DataContract", "app_usage/1.0.0.yaml"),
    ],
)
def test_contracts_check_names_file_and_key_of_what_is_wrong(
    run, tmp_path, monkeypatch, old, new, says
):
    shutil.copytree(ROOT / "contracts", tmp_path / "contracts", ignore=WITHOUT_BILLS)
    path = tmp_path / "contracts" / "app_usage" / "1.0.0.yaml"
    path.write_text(path.read_text().replace(old, new))
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(tmp_path / "contracts"))

    code, out, error = run("contracts", "check")

    assert code == 1 and "s3_access 1.0.0: good" in out
    assert error.startswith("app_usage: ") and says in error


def test_a_wrong_contract_stops_only_its_own_stream(run, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "contracts", tmp_path / "contracts", ignore=WITHOUT_BILLS)
    (tmp_path / "contracts" / "cloudtrail" / "1.0.0.yaml").write_text("id: cloudtrail\nid: x\n")
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(tmp_path / "contracts"))

    code, out, error = run("status")
    assert code == 1 and "cloudtrail/1.0.0.yaml: cannot be read as YAML: line 2" in error
    assert "app_usage: 0 landed objects not read yet" in out and "cloudtrail" not in out

    assert run("ingest", "cloudtrail", "--landed", "2026-11-18")[0] == 1
    assert run("ingest", "app_usage", "--landed", "2026-11-18")[0] == 0


def test_a_source_that_has_ended_stays_as_published_and_holds_back_no_other(
    lake, tmp_path, monkeypatch, quick_judge, capsys
):
    lake.land(key(), lines(event("a", 2)), evening())
    lake.land("s3logs/1/eu/b/2026/11/18/x", access().encode(), evening())
    lake.run("app_usage", DAY)
    lake.ingest("s3_access", DAY)
    shutil.copytree(ROOT / "contracts/s3_access", tmp_path / "s3_access")
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(tmp_path))

    assert cli.main(["build", "--usage-date", str(DAY)]) == 0

    assert capsys.readouterr().out.startswith(f"s3_access {DAY}: ")
    streams = lake.rows("SELECT DISTINCT stream FROM usage_daily ORDER BY ALL")
    assert [row["stream"] for row in streams] == ["app_usage", "s3_access"]


def test_status_tells_release_pending_dates_and_backlog(run, said):
    said[0].land("s3logs/1/r/b/2026/11/18/log", b"", evening(DAY))

    code, out, _ = run("status")

    head, *rest = out.splitlines()
    assert code == 0 and head.startswith("release 3, made 20")
    assert rest == [
        "usage dates waiting to be built: app_usage/2026-11-19",
        "app_usage: 0 landed objects not read yet",
        "cloudtrail: 0 landed objects not read yet",
        "s3_access: 1 landed objects not read yet",
        "  s3logs/1/r/b/2026/11/18/log",
    ]


def test_status_says_why_no_run_will_read_an_object(lake, capsys):
    impossible = [key().replace("2026", "0001"), key().replace("day=18", "day=31")]
    keys = [*impossible, key(date(2199, 1, 1)), key()]
    for one in keys:
        lake.land(one, lines(event("a")), evening())

    assert cli.main(["status"]) == 0

    first, sound, second, ahead = capsys.readouterr().out.splitlines()[3:7]
    assert [first, second] == [
        f"  {one}: the date in its key is none of the calendar, no run reads it: land it under its true date"
        for one in impossible
    ]
    assert ahead.startswith(f"  {keys[2]}: no run reads it before 2199-01-01, the date in its key")
    assert sound == f"  {keys[3]}"

    assert cli.main(["ingest", "app_usage", "--landed", "2199-01-01"]) == 0
    assert cli.main(["status"]) == 0
    told = capsys.readouterr().out
    assert f"  {keys[3]}\n" in told  # what was read ahead moves no look-back window
    assert f"  {keys[0]}: the date in its key is none of the calendar" in told


def test_a_manifest_of_a_day_that_no_command_takes_moves_no_look_back_window():
    manifest = layout.partition({"stream": "app_usage", "landed_date": date(1, 1, 1)})
    found = release.Release(1, "", {"tables": {"manifest": {manifest: {}}}})
    promise = contract.load(ROOT / "contracts", "app_usage")

    assert lookup._hints(found, promise, [key()], DAY) == {}


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("USAGE_EXPORT_LANDING", "", "USAGE_EXPORT_LANDING must be an s3:// URL"),
        ("USAGE_EXPORT_LAKE", "/tmp/lake", "USAGE_EXPORT_LAKE must be an s3:// URL"),
        ("USAGE_EXPORT_PII_KEY", "short", "USAGE_EXPORT_PII_KEY must hold a secret of at least 16"),
        ("USAGE_EXPORT_THREADS", "many", "USAGE_EXPORT_THREADS must be a whole number"),
        ("USAGE_EXPORT_LAKE", "s3://none", "s3://none/.*the bucket does not exist: create it"),
        ("AWS_SECRET_ACCESS_KEY", "wrong", "s3://lake/cli/.*: check AWS_SECRET_ACCESS_KEY"),
        ("AWS_ACCESS_KEY_ID", "", "s3://lake/cli/.*redentials"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(run, monkeypatch, setting, value, says):
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers credentials
    monkeypatch.setenv(setting, value)

    code, out, error = run("status")

    assert (code, out) == (1, "")
    assert re.fullmatch(f"usage-export: (SettingError|Denied): .*{says}.*\n", error)


def test_settings_that_are_not_set_are_all_named_at_once(run, monkeypatch):
    for setting in ("USAGE_EXPORT_LAKE", "USAGE_EXPORT_PII_KEY"):
        monkeypatch.delenv(setting)

    code, _, error = run("status")

    assert code == 1
    assert "USAGE_EXPORT_LAKE, USAGE_EXPORT_PII_KEY are not set: README.md, Settings" in error


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("USAGE_EXPORT_MEMORY", "lots"),  # etl/sql.py:24, duckdb.ParserException
        ("USAGE_EXPORT_SCRATCH", "/no/such/folder"),  # etl/sql.py:23, FileNotFoundError
        ("USAGE_EXPORT_CONTRACTS", "/no/such/folder"),  # etl/layout.py:51, FileNotFoundError
        ("AWS_ENDPOINT_URL_S3", "localhost"),  # etl/store.py:69, ValueError
    ],
)
def test_every_setting_is_checked(run, monkeypatch, setting, value):
    monkeypatch.setenv(setting, value)

    code, _, error = run("status")

    assert code == 1 and setting in error


@pytest.mark.parametrize(
    "arguments",
    [
        ("ingest", "apps", "--landed", "2026-11-18"),
        ("build", "--usage-date", "2026-11-18", "--stream", "apps"),
        ("replay", "apps", "--from", "2026-11-18", "--to", "2026-11-18", "--reason", "long enough"),
    ],
)
def test_an_unknown_stream_is_answered_with_the_known_ones(run, arguments):
    code, _, error = run(*arguments)

    assert code == 1
    assert "no contract for apps: known are app_usage, cloudtrail, s3_access" in error


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ingest", "app_usage", "--landed", "2026-02-30"), f"--landed: 2026-02-30 {NO_DAY}"),
        (("ingest", "app_usage", "--landed", "0001-01-01"), f"--landed: 0001-01-01 {NO_DAY}"),
        (("ingest", "app_usage", "--to", "20261118"), f"--to: 20261118 {NO_DAY}"),
        (("ingest", "app_usage"), "required: --landed"),
        (("build", "--usage-date", "2026-13-40"), f"--usage-date: 2026-13-40 {NO_DAY}"),
        (("statement", "--usage-date", "tomorrow"), f"--usage-date: tomorrow {NO_DAY}"),
        (("replay", "app_usage", "--from", "x"), f"--from: x {NO_DAY}"),
        (("replay", "app_usage", "--to", "2026-W47-3"), f"--to: 2026-W47-3 {NO_DAY}"),
        (("sql", "SELECT 1", "--format", "xml"), "--format: invalid choice"),
        (("replay", "app_usage", "--from", "2026-11-18"), "required: --to, --reason"),
        ((), "required: command"),
    ],
)
def test_a_wrong_command_line_is_told_with_its_usage(run, arguments, says):
    code, _, error = run(*arguments)

    assert code == 2 and "usage: usage-export" in error and says in error


def test_a_contract_of_bills_is_named_with_its_own_command(run):
    code, _, error = run("ingest", "aws_focus", "--landed", "2026-11-18")

    assert code == 1 and "a contract of bills: usage-export billing ingest aws_focus" in error


def test_a_day_on_which_nothing_landed_is_told_with_where_it_was_looked_for(run):
    code, out, _ = run("ingest", "app_usage", "--landed", "2026-11-28")

    assert code == 0 and "landed_dates" not in out
    assert "nothing new under s3://landing/cli" in out and "{dd}/*.json.gz" in out


def test_an_interrupt_ends_the_command_without_a_traceback(run, monkeypatch):
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("etl.lookup.open_release", interrupted)

    code, out, error = run("sql", "SELECT 1")

    assert (code, out) == (130, "") and error.startswith("usage-export: stopped: ")


def test_a_range_that_runs_backwards_is_refused(run):
    code, _, error = run("ingest", "app_usage", "--landed", "2026-11-18", "--to", "2026-11-17")

    assert code == 1 and "--to 2026-11-17 lies before --landed 2026-11-18" in error


def test_an_empty_lake_has_no_statement_yet(lake, capsys):
    assert cli.main(["statement"]) == 1
    assert "no usage date is published in s3://lake/" in capsys.readouterr().err
    assert cli.main(["sql", "SELECT count(*) AS n FROM usage_daily", "--format", "csv"]) == 0


def test_the_installed_command_ends_with_the_same_codes(said):
    query = [COMMAND, "sql", DAILY, "--format", "csv"]
    good = subprocess.run(query, capture_output=True, text=True)
    bad = subprocess.run([*query, "--release", "99"], capture_output=True, text=True)

    assert (good.returncode, good.stdout, good.stderr) == (
        0,
        "meter,q\napi_calls,6.000000001\n",
        "",
    )
    assert bad.returncode == 1 and bad.stderr.startswith("usage-export: SourceError: ")


def test_a_reader_that_has_seen_enough_is_no_error(said):
    told = subprocess.run(
        f"{COMMAND} sql 'FROM range(100000)' --format csv | head -n 1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
    )

    assert (told.stdout, told.stderr) == ("range\n1\n", "")


def test_a_reader_that_is_lost_elsewhere_is_told(said, tmp_path):
    page = tmp_path / "page"
    os.mkfifo(page)
    reader = os.open(page, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)  # less than a page

    def leave() -> None:
        select.select([reader], [], [])
        os.close(reader)

    leaving = threading.Thread(target=leave)
    leaving.start()

    with pytest.raises(BrokenPipeError):
        cli.main(["statement", "--html", str(page)])

    leaving.join()


def test_a_shell_on_a_release_shows_nothing_but_the_answer(said):
    told = subprocess.run(
        [COMMAND, "sql"],
        input=".mode csv\nSELECT sum(events) AS n FROM usage_daily;",
        capture_output=True,
        text=True,
    )

    assert (told.stdout.replace("\r", ""), told.stderr, told.returncode) == ("n\n2\n", "", 0)
