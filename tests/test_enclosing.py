"""A value that a contract drops or hashes is shown by no field around it, and by no key made of it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from etl import contract, enclosing
from etl.errors import ContractError
from etl.settings import ROOT
from tests.events import event
from tests.models import normalized_by

FIELD = "      - {name: reason, physicalName: $.data.reason, "
EXTRA = (
    "      - {{name: more, physicalName: {path}, logicalType: {kind}, physicalType: {kind}, "
    "classification: none}}\n"
)


def altered(folder: Path, *changes: tuple[str, str]) -> contract.Contract:
    text = (ROOT / "contracts/app_usage/1.0.0.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "app_usage").mkdir()
    (folder / "app_usage/1.0.0.yaml").write_text(text)
    return contract.load(folder, "app_usage")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("$.data", "object"),
        ("'$.\"data\"'", "object"),
        ("$", "object"),
        ("$.data.reason", "string"),
    ],
)
def test_a_field_that_would_show_a_dropped_one_is_refused(tmp_path, path, kind):
    extra = EXTRA.format(path=path, kind=kind)

    with pytest.raises(ContractError) as caught:
        altered(tmp_path, (FIELD, extra + FIELD))

    assert "schema property more: its classification is none" in str(caught.value)
    assert "$.data.reason, which property reason classes drop" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "kind"), [("$.datas", "object"), ("$.data", "string"), ("$.data.reasons", "object")]
)
def test_a_field_beside_a_dropped_one_is_not(tmp_path, path, kind):
    altered(tmp_path, (FIELD, EXTRA.format(path=path, kind=kind) + FIELD))


@dataclass(frozen=True)
class Group:
    name: str
    path: str
    privacy: str = "none"
    structured: bool = False


@pytest.mark.parametrize(
    ("pattern", "holds"),
    [
        (r"(\S+) (\S+)", False),
        (r"(\S+ (\S+))", True),
        (r"(a(?:b(?:c(\d)))) .*", True),
        (r"(a)(?:b(\d))", False),
        (r"(?P<one>a (?P<two>\d))", True),
        (r"(?i)(?P<one>a) (?P<two>\d)", False),
        (r"([^)(\]]+) (\d)", False),
        (r"([]()]+) (\d)", False),
        (r"(\([^ ]+\)) (\d)", False),
        (r"(\(a (\d)\))", True),
    ],
)
def test_a_group_that_would_show_a_dropped_one_is_refused(pattern, holds):
    told = enclosing.problem([Group("one", "1"), Group("two", "2", "drop")], pattern)

    assert (told is not None) == holds
    assert not told or "schema property one: its classification is none, and group 1 holds" in told
    other = [Group("one", "1", "drop"), Group("two", "2")]  # a part of what is dropped may be shown
    assert enclosing.problem(other, pattern) is None


def test_a_group_that_is_dropped_and_shown_is_refused_and_so_is_a_pattern_that_cannot_be_told(
    tmp_path,
):
    assert enclosing.problem([Group("a", "1"), Group("b", "1", "hash")], r"(\d)")
    told = enclosing.problem([Group("a", "1")], "(?x)(a) # (b)")
    assert told and "usage.reader.pattern" in told

    text = (ROOT / "contracts/s3_access/1.0.0.yaml").read_text()
    (tmp_path / "s3_access").mkdir()
    apart, around = r"\[([^\]]+)\] (\S+) ", r"(\[[^\]]+\] (\S+)) "
    assert apart in text
    (tmp_path / "s3_access/1.0.0.yaml").write_text(text.replace(apart, around))
    with pytest.raises(ContractError, match=r"property time: .* group 3 holds group 4, which"):
        contract.load(tmp_path, "s3_access")


@pytest.mark.parametrize("privacy", ["hash", "drop"])
def test_a_key_made_of_a_personal_column_cannot_be_found_by_trying_values(tmp_path, privacy):
    promise = altered(
        tmp_path,
        ("columns: [source, id]", "columns: [source, reason]"),
        ("classification: drop", f"classification: {privacy}"),
    )
    person = "jane@example.com"

    def of(*reasons: str | None) -> list[str | None]:
        told = (event(data={"quantity": 1, "reason": one}) for one in reasons)
        return [row["record_key"] for row in normalized_by(promise, *map(json.dumps, told))[0]]

    same, again, other, empty, missing = of(person, person, "joe", "", None)
    guessed = "\x1f".join(["app_usage", "//app/a", person]).encode()

    assert same == again != other
    assert same != hashlib.sha256(guessed).hexdigest()
    assert (empty, missing) == (None, None)
