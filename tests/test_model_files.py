"""Every file under sql/ is named by a test of its own, and no test names a model that is gone."""

import re
from pathlib import Path

from etl.billing import contract
from etl.settings import ROOT
from etl.sql import SQL

TESTS = Path(__file__).parent


def models() -> set[str]:
    return {str(path.relative_to(SQL).with_suffix("")) for path in SQL.rglob("*.sql")}


def named() -> set[str]:
    text = "\n".join(path.read_text() for path in TESTS.glob("test_model_*.py"))
    folders = "|".join(sorted(path.name for path in SQL.iterdir() if path.is_dir()))
    run = set(re.findall(rf'"((?:{folders})/\w+)"', text))
    mapped = {f"normalize/{stream}" for stream in re.findall(r'normalized\(\s*"(\w+)"', text)}
    bills = {
        contract.load(ROOT / "contracts", stream).mapping.sql
        for stream in re.findall(r'[^_]mapped\(\s*"(\w+)"', text)
    }
    words = {"macros", "billing_macros"} if (TESTS / "test_model_macros.py").exists() else set()
    return run | mapped | bills | words


def test_every_model_is_run_by_a_test_of_models():
    assert models() - named() == set()


def test_no_test_names_a_model_that_does_not_exist():
    assert named() - models() == set()


def test_every_macro_is_tried_by_its_name():
    macros = re.findall(r"MACRO (\w+)\(", "".join(path.read_text() for path in SQL.glob("*.sql")))
    tried = (TESTS / "test_model_macros.py").read_text()

    assert [one for one in macros if f"{one}(" not in tried] == []
