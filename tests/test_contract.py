"""A wrong contract stops with ContractError, which names the file, the key and the reason."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from etl import contract, lookup, sql
from etl.errors import ContractError

ROOT = Path(__file__).parent.parent
FILE = "app_usage/1.0.0.yaml"
PROPERTY = "  - property: usage.labels\n"
MAPPING = "normalize/app_usage"
METERS = "{api_calls: Requests, llm_tokens: Tokens, seat_minutes: Minutes}"
SECOND = "  - {name: b, physicalType: json, logicalType: object, properties: []}\n"


@pytest.fixture
def contracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copies of contracts/ and sql/ that a test may spoil, found by the library."""
    for folder in ("contracts", "sql"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.setattr(sql, "SQL", tmp_path / "sql")
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(tmp_path / "contracts"))
    monkeypatch.setenv("USAGE_EXPORT_LANDING", "s3://landing")
    monkeypatch.setenv("USAGE_EXPORT_LAKE", "s3://lake")
    monkeypatch.setenv("USAGE_EXPORT_PII_KEY", "0123456789abcdef")
    return tmp_path / "contracts"


def test_the_contracts_of_the_project_are_good(contracts):
    assert {one: lookup.check_contract(one) for one in lookup.streams()} == {
        "app_usage": "1.0.0",
        "cloudtrail": "1.0.0",
        "s3_access": "1.0.0",
    }


@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        # our keys
        (
            PROPERTY,
            "  - {property: usage.colour, value: red}\n" + PROPERTY,
            "usage.colour",
            "no such key",
        ),
        (PROPERTY, "  - {property: colour, value: red}\n" + PROPERTY, "colour", "not a usage.*"),
        ("compression: gzip", "compression: gzip, colour: 1", "usage.reader.colour", "no such key"),
        ("format: json_lines", "format: xml", "usage.reader.format", "'json_lines'"),
        ("scope: global", "scope: often", "usage.identity.scope", "'positional'"),
        ("columns: [source, id]", "columns: [source, uid]", "usage.identity", "'uid'"),
        (
            "late_window_days: 35",
            "late_window_days: -1",
            "usage.discovery.late_window_days",
            "greater",
        ),
        ("{rule: event}, {rule: none}", "{rule: event}", "usage.attribution", "none"),
        ("{rule: event}, {rule: none}", "", "usage.attribution", "none"),
        ("{rule: event}", "{rule: guess}", "usage.attribution", "'event'"),
        ("daily: [feature]", "daily: [plan]", "usage.labels.daily", "'plan'"),
        ("usage.meters", "usage.metres", "usage.meters", "required"),
        ("usage.meters", "usage.metres", "usage.metres", "there is no such key"),
        # keys of the standard
        ("domain: metering\n", "domain: metering\ncolour: red\n", "colour", "unexpected"),
        ("{name: id, ", "{name: id, colour: red, ", "schema/0/properties/1", "'colour'"),
        ("kind: DataContract\n", "", "kind", "required"),
        ("version: 1.0.0\n", "version: 2.0.0\n", "id and version", "must be app_usage and 1.0.0"),
        ("id: app_usage\n", "id: app\n", "id and version", "must be app_usage and 1.0.0"),
        # what every field must say
        ("physicalName: $.id, ", "", "property id: physicalName", "missing"),
        (", classification: drop", "", "property reason: classification", "missing"),
        ("classification: drop", "classification: secret", "reason: classification", "'secret'"),
        ("physicalName: $.id,", "physicalName: id,", "property id: physicalName 'id'", "no path"),
        ("physicalName: $.id,", "physicalName: $..id,", "physicalName '$..id'", "no path"),
        ("physicalName: $.id,", "physicalName: '$.id[',", "physicalName '$.id['", "no path"),
        ("name: feature,", "name: raw_line,", "property raw_line", "our own columns"),
        ("name: feature,", "name: Fea-ture,", "usage.properties.9.name", "match pattern"),
        ("name: feature,", "name: quantity,", "property quantity", "given twice"),
        ("slaProperties:", f"{SECOND}slaProperties:", "schema", "one object"),
        # one key, one value
        ("id: app_usage\n", "id: app_usage\nid: app_usage\n", "id is given twice", "line 4"),
        ("scope: global,", "scope: global, scope: positional,", "scope is given twice", "line 51"),
        (PROPERTY, f"{PROPERTY}    value: {{}}\n{PROPERTY}", "usage.labels", "given twice"),
        ("{rule: event}", "{rule: account_map, map: {0123: t-1}}", "line 59", "no text: quote it"),
        ("{rule: event}", "&a {rule: event}, *a", "line 59", "alias"),
        ("name: Application", "name: [Application", "YAML", "line"),
        ("domain: metering", "domain: 2026-02-30", "YAML", "day is out of range"),
        # what can never match
        (r"(?P<scope>\d+)", r"(?P<scop>\d+)", "usage.sequence", "groups scope and first"),
        (r"(?P<scope>\d+)", r"(?P<scope>\d+", "usage.sequence.pattern", "no regular expression"),
        ("year={yyyy}/", "", "usage.discovery", "{yyyy}, {MM} and {dd} once each"),
        ("month={MM}", "month={mm}", "usage.discovery", "{yyyy}, {MM} and {dd} once each"),
        ('path: "topics', 'path: "/topics', "usage.discovery.path", "match pattern"),
        (METERS, "{}", "usage.meters", "at least 1 item"),
    ],
)
def test_a_wrong_key_is_named_with_its_file_and_the_reason(contracts, old, new, key, reason):
    spoil(contracts / FILE, old, new)

    said = refused(lambda: contract.load(contracts, "app_usage"))

    assert said.startswith(f"{contracts / FILE}: ")
    assert key in said
    assert reason in said


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('physicalName: "2"', 'physicalName: "20"', "'20' is no group"),
        ('physicalName: "2"', 'physicalName: "0"', "'0' is no group"),
        ('physicalName: "2"', "physicalName: $.bucket", "'$.bucket' is no group"),
        (r"'^(\S+)", r"'^(\S+", "usage.reader.pattern: is no regular expression"),
        (r"'^(\S+)", r"'^(?!x)(\S+)", "usage.reader.pattern or a physicalName"),  # not RE2's
    ],
)
def test_a_pattern_that_no_line_can_be_read_with_is_refused(contracts, old, new, reason):
    spoil(contracts / "s3_access" / "1.0.0.yaml", old, new)

    said = refused(lambda: lookup.check_contract("s3_access"))

    assert "s3_access/1.0.0.yaml: " in said
    assert reason in said


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"- " * 9999, b"[" * 9999, b"a: &a [*a]", b"7"])
def test_a_file_that_is_no_contract_is_refused_and_named(contracts, body):
    (contracts / FILE).write_bytes(body)

    said = refused(lambda: contract.load(contracts, "app_usage"))

    assert said.startswith(f"{contracts / FILE}: ")


def test_a_message_names_no_key_that_does_not_exist(contracts):
    spoil(contracts / FILE, "{rule: event}, {rule: none}", "{rule: event}")

    assert "usage.document" not in refused(lambda: contract.parse(contracts / FILE))


def test_two_active_versions_are_refused(contracts):
    text = (contracts / FILE).read_text()
    (contracts / "app_usage" / "1.1.0.yaml").write_text(text.replace("1.0.0\n", "1.1.0\n"))

    said = refused(lambda: contract.load(contracts, "app_usage"))

    assert str(contracts / "app_usage") in said
    assert "exactly one version must have status: active, found 2" in said


def test_an_older_version_may_lie_beside_the_active_one(contracts):
    retired = (contracts / FILE).read_text().replace("status: active", "status: retired")
    (contracts / "app_usage" / "0.9.0.yaml").write_text(retired.replace("1.0.0\n", "0.9.0\n"))

    assert contract.load(contracts, "app_usage").version == "1.0.0"


def test_no_active_version_is_refused(contracts):
    spoil(contracts / FILE, "status: active", "status: draft")

    said = refused(lambda: contract.load(contracts, "app_usage"))

    assert "status: active, found 0" in said


def test_a_version_in_a_file_of_another_name_is_refused(contracts):
    (contracts / FILE).rename(contracts / "app_usage" / "2.0.0.yaml")

    said = refused(lambda: contract.load(contracts, "app_usage"))

    assert "app_usage/2.0.0.yaml: id and version must be app_usage and 2.0.0" in said


def test_mapping_sql_that_does_not_exist_is_refused(contracts):
    spoil(contracts / FILE, f"sql: {MAPPING}", "sql: normalize/nothing")

    said = refused(lambda: lookup.check_contract("app_usage"))

    assert FILE in said
    assert "usage.mapping" in said
    assert "normalize/nothing.sql" in said
    assert "No such file" in said


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("SELECT\n    record_id,\n", "SELEKT\n    record_id,\n", "syntax error"),
        ("nullif(subject, '')", "nullif(customer, '')", '"customer" not found'),
        ("nullif(subject, '')", "nullif(reason, '')", '"reason" not found'),  # class drop
        ("'event' AS attribution", "'event' AS colour", "usage_event/1 does not have: ['colour']"),
        ("    utc_timestamp(time) AS event_time,\n", "", "does not give ['event_time']"),
        ("exact_quantity(quantity) END", "quantity::DOUBLE END", "quantity is DOUBLE"),
        (
            "    utc_timestamp(time) AS",
            "    CASE WHEN time <> '' THEN local_timestamp(time, 'Europe/Berlinn') END AS",
            "Unknown TimeZone 'Europe/Berlinn'",
        ),
    ],
)
def test_wrong_mapping_sql_is_named_with_the_contract_and_the_reason(contracts, old, new, reason):
    spoil(contracts.parent / "sql" / f"{MAPPING}.sql", old, new)

    said = refused(lambda: lookup.check_contract("app_usage"))

    assert f"{FILE}: usage.mapping: sql/{MAPPING}.sql: " in said
    assert reason in said


@pytest.mark.parametrize(
    "identity", ["{scope: object_first, columns: [source, id]}", "{scope: positional}"]
)
def test_sql_that_corrects_records_whose_keys_it_cannot_know_is_refused(contracts, identity):
    spoil(contracts / FILE, "{scope: global, columns: [source, id]}", identity)

    said = refused(lambda: lookup.check_contract("app_usage"))

    assert f"{FILE}: usage.mapping: sql/{MAPPING}.sql: gives corrects_key" in said
    assert "usage.identity" in said and "scope: global" in said


@pytest.mark.parametrize(
    ("path", "key", "landed"),
    [
        ("a/{yyyy}/{MM}/{dd}/*.gz", "a/2026/11/18/x.gz", {"yyyy": "2026", "MM": "11", "dd": "18"}),
        ("a/{yyyy}/{MM}/{dd}/*.gz", "a/2026/11/18/deeper/x.gz", None),  # * is one segment
        ("a.b/*/{yyyy}-{MM}-{dd}.csv", "axb/t/2026-11-18.csv", None),  # a dot is a dot
        ("inbox/*", "inbox/x.csv", {}),
    ],
)
def test_a_discovery_path_finds_its_keys_and_no_others(path, key, landed):
    discovery = contract.Discovery(path=path, late_window_days=3)
    found = discovery.regex.fullmatch(key)

    assert (found and found.groupdict()) == landed
    assert discovery.dated == ("{dd}" in path)


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path} has changed: this test no longer spoils it"
    path.write_text(text.replace(old, new, 1))


def refused(call: Callable[[], object]) -> str:
    """The message, on one line."""
    with pytest.raises(ContractError) as caught:
        call()
    return re.sub(r"\s+", " ", str(caught.value))
