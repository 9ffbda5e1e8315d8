"""Hostile input through the whole product: no run crashes, no record vanishes, none is altered in silence."""

import csv
import io
import json
import re
import shutil
from collections import Counter
from decimal import Decimal

import pytest

from etl import cli, errors, shown
from etl.reasons import REASONS
from etl.settings import ROOT
from tests.conftest import Lake, decide
from tests.events import DAY, evening
from tests.hostile import CASES, MAX_OBJECT_BYTES, NAMES, Case

FOLDERS = {
    "app_usage": f"topics/usage.events/year={DAY:%Y}/month={DAY:%m}/day={DAY:%d}",
    "cloudtrail": f"AWSLogs/1/CloudTrail/eu-west-1/{DAY:%Y/%m/%d}",
    "s3_access": f"s3logs/1/eu-west-1/media/{DAY:%Y/%m/%d}",
}
STEER = "\x1b]0;owned\x07\n\u202eabc"  # sets the title of a terminal, ends the line, turns the direction
ENDS = {"app_usage": ".json.gz", "cloudtrail": ".json.gz", "s3_access": ""}


@pytest.fixture(scope="module")
def landed(object_store, tmp_path_factory):
    """All cases, landed on one day and run to the end."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("etl.judge.judge", decide)
        patched.setenv(
            "USAGE_EXPORT_CONTRACTS", str(contracts(tmp_path_factory.mktemp("contracts")))
        )
        lake = Lake(object_store, "hostile", patched)
        for number, case in enumerate(CASES):
            lake.land(key_of(case), case.body(number), evening())
        lake.land(f"{FOLDERS['app_usage']}/deeper/{STEER}.gz", b"", evening())
        for stream in FOLDERS:
            lake.run(stream, DAY)
        yield lake


def contracts(folder):
    """Those of the project, with a smaller limit of an object."""
    shutil.copytree(ROOT / "contracts", folder, dirs_exist_ok=True)
    for path in folder.glob("*/*.yaml"):
        limit = f"max_object_bytes: {MAX_OBJECT_BYTES}"
        path.write_text(re.sub(r"max_object_bytes: \d+", limit, path.read_text()))
    return folder


def key_of(case: Case) -> str:
    name = case.key or re.sub(r"\W+", "-", case.name)
    return f"{FOLDERS[case.stream]}/{name}{ENDS[case.stream]}"


@pytest.fixture(scope="module")
def rows(landed) -> dict[str, list[dict]]:
    """Accepted and quarantined rows by the key of their object, in the order of their records."""
    found: dict[str, list[dict]] = {}
    for row in landed.rows("""
        SELECT raw_object_key, raw_line, NULL AS reason, sum(quantity) OVER record AS total, *
            EXCLUDE (raw_object_key, raw_line) FROM usage_arrival
        WINDOW record AS (PARTITION BY raw_object_key, raw_line)
        UNION ALL BY NAME
        SELECT raw_object_key, raw_line, reason, raw_encoding, raw_text FROM quarantine
        ORDER BY raw_object_key, raw_line"""):
        found.setdefault(row["raw_object_key"], []).append(row)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_becomes_of_a_hostile_object(rows, case):
    mine = rows.get(key_of(case), [])

    if isinstance(case.becomes, str):
        assert [(row["raw_line"], row["reason"]) for row in mine] == [(0, case.becomes)]
        return
    records = list({row["raw_line"]: row for row in mine}.values())
    assert [row["reason"] or row["total"] for row in records] == [
        one if one in REASONS else Decimal(one) for one in case.becomes
    ]
    accepted = [row for row in records if row["reason"] is None]
    assert {name: accepted[0][name] for name in case.row} == case.row


@pytest.mark.parametrize("stream", FOLDERS)
def test_every_record_is_accounted_for(landed, stream):
    cases = {key_of(case): case for case in CASES if case.stream == stream}
    manifest = landed.rows(f"SELECT * FROM manifest WHERE stream = '{stream}'")

    assert {row["raw_object_key"] for row in manifest} == cases.keys()
    for row in manifest:
        becomes = cases[row["raw_object_key"]].becomes
        whole = isinstance(becomes, str)
        refused = 0 if whole else sum(one in REASONS for one in becomes)
        assert row["outcome"] == (becomes if whole else "read")
        counts = (row["records"], row["records_accepted"], row["records_refused"])
        total = 0 if whole else len(becomes)
        assert counts == (total, total - refused, refused)


def test_the_statement_counts_what_was_refused_by_its_reason(landed, capsys):
    assert cli.main(["statement", "--usage-date", str(DAY), "--json"]) == 0
    streams = {one["stream"]: one for one in json.loads(capsys.readouterr().out)["streams"]}

    for stream in FOLDERS:
        outcomes = [case.becomes for case in CASES if case.stream == stream]
        wholes = [one for one in outcomes if isinstance(one, str)]
        records = [one for some in outcomes if not isinstance(some, str) for one in some]
        refused = Counter(one for one in wholes + records if one in REASONS)
        found = streams[stream]["landed"]
        assert found["quarantined_by_reason"] == dict(refused)
        assert (found["objects"], found["objects_refused"]) == (len(outcomes), len(wholes))
        assert found["records"] == len(records) == found["accepted"] + found["quarantined"]


def test_what_was_refused_is_kept_as_it_was_written(rows):
    case = next(one for one in CASES if one.name == "repeated key, nested")
    number = CASES.index(case)

    (row, _) = rows[key_of(case)]

    assert row["raw_encoding"] == "utf-8"
    assert row["raw_text"] == case.given[0].replace("<id>", f"h{number}-0")


@pytest.mark.parametrize(
    "command",
    [
        ["statement", "--usage-date", str(DAY)],
        ["status"],
        ["sql", "SELECT DISTINCT tenant_id FROM usage_daily ORDER BY ALL"],
        ["sql", "SELECT raw_object_key, labels FROM usage_event ORDER BY ALL DESC"],
    ],
    ids=["statement", "status", "tenants", "keys and labels"],
)
def test_no_value_steers_the_terminal_of_who_reads_it(landed, capsys, command):
    cli.main(command)

    told = "".join(capsys.readouterr())
    assert "\\x1b" in told or "\\e" in told
    assert all(line.isprintable() for line in told.split("\n"))


def test_data_leaves_as_it_came_also_what_a_spreadsheet_takes_for_a_formula(landed, capsys):
    query = "SELECT tenant_id FROM usage_daily WHERE stream = 'app_usage'"
    cli.main(["sql", "--format", "json", query])
    tenants = {row["tenant_id"] for row in json.loads(capsys.readouterr().out)}
    cli.main(["sql", "--format", "csv", query])
    (_, *read) = csv.reader(io.StringIO(capsys.readouterr().out, newline=""))

    assert set(NAMES.values()) <= tenants
    assert {row[0] for row in read} == tenants


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("t-1 é 名前", "t-1 é 名前"),
        (STEER, r"\x1b]0;owned\x07\n\u202eabc"),
        ("a\tb\x00\x9b\u2028\ufeff", r"a\tb\x00\x9b\u2028\ufeff"),
        ("x" * 500, "x" * shown.LENGTH + "…"),
    ],
)
def test_a_value_is_shown_on_one_line(text, seen):
    assert shown.value(text) == seen


def test_a_message_keeps_its_lines_and_nothing_else():
    assert str(errors.SourceError("one\n\x1b[2Jtwo")) == "one\n\\x1b[2Jtwo"
