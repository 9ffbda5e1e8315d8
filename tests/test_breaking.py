"""A version of a contract that breaks what the one before it read says so, with what it means and what to do."""

import shutil
from pathlib import Path

import pytest

from etl import breaking, contract, lookup
from etl.cli import main
from etl.errors import ContractError, SourceError
from etl.settings import ROOT
from tests.events import DAY, evening, event, key, lines

IDENTITY = ("columns: [source, id]", "columns: [source, id, subject]")
PATH = ("day={dd}/*.json.gz", "day={dd}/v2-*.json.gz")


@pytest.fixture
def contracts(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(tmp_path / "contracts"))
    without = shutil.ignore_patterns("billing")
    return shutil.copytree(ROOT / "contracts", tmp_path / "contracts", ignore=without)


def newer(folder: Path, version: str, *changes: tuple[str, str]) -> list[str]:
    """Retire the contract beside a newer version with these changes; returns what that one breaks."""
    path = folder / "app_usage/1.0.0.yaml"
    text = path.read_text()
    path.write_text(text.replace("status: active", "status: retired"))
    for old, new in (("version: 1.0.0", f"version: {version}"), *changes):
        assert old in text
        text = text.replace(old, new, 1)
    (folder / f"app_usage/{version}.yaml").write_text(text)
    return breaking.changes(folder, contract.load(folder, "app_usage"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (IDENTITY, "usage.identity is another than in version 1.0.0, which is breaking: a record"),
        (("scope: global", "scope: object_first"), "counts twice"),
        (("physicalName: $.id,", "physicalName: $.uid,"), "replay all landed dates"),
        (PATH, "usage.discovery.path is another than in version 1.0.0, which is breaking: objects"),
        (("year={yyyy}/month={MM}/day={dd}/", ""), "a contract of another name"),
    ],
)
def test_a_breaking_change_asks_for_another_major_version(contracts, change, says):
    with pytest.raises(ContractError) as error:
        newer(contracts, "1.10.0", change)
    assert says in str(error.value) and "raise the major version" in str(error.value)

    for one in (contracts / "app_usage").iterdir():
        one.unlink()
    shutil.copy(ROOT / "contracts/app_usage/1.0.0.yaml", contracts / "app_usage")
    (told,) = newer(contracts, "2.0.0", change)
    assert says in told


@pytest.mark.parametrize(
    "change",
    [
        ("late_window_days: 35", "late_window_days: 4"),
        ("day={dd}/*.json.gz", "day={dd}/*"),
        ("allowed: [feature", "allowed: [colour, feature"),
    ],
)
def test_what_reads_all_that_the_version_before_read_breaks_nothing(contracts, change):
    assert newer(contracts, "1.1.0", change) == []


def test_the_check_of_contracts_tells_it(contracts, capsys):
    newer(contracts, "2.0.0", IDENTITY, PATH)

    assert main(["contracts", "check"]) == 0
    good, identity, path, *_ = capsys.readouterr().out.splitlines()
    assert good == "app_usage 2.0.0: good"
    assert "usage.identity" in identity and "usage.discovery.path" in path

    (contracts / "app_usage/2.0.0.yaml").rename(contracts / "app_usage/1.2.0.yaml")
    text = (contracts / "app_usage/1.2.0.yaml").read_text()
    (contracts / "app_usage/1.2.0.yaml").write_text(
        text.replace("version: 2.0.0", "version: 1.2.0")
    )
    assert main(["contracts", "check"]) == 1
    assert "app_usage/1.2.0.yaml: usage.identity" in capsys.readouterr().err


def test_objects_of_the_old_path_are_told_from_those_that_are_gone(lake, contracts):
    lake.land(key(), lines(event("a")), evening())
    lake.ingest("app_usage", DAY)
    newer(contracts, "2.0.0", PATH)

    with pytest.raises(SourceError) as error:
        lake.ingest("app_usage", DAY)

    assert "not matched by usage.discovery.path of version 2.0.0" in str(error.value)
    assert lookup.backlog("app_usage") == []
