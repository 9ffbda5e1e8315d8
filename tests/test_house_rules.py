"""The house rules, read from the code itself: who imports whom, sizes, headers, contracts, words.

Each rule is a function from text to problems, so that a test can show it a bad house too.
"""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from etl import contract, tables
from etl.columns import Column, Table

ROOT = Path(__file__).parent.parent
STAGES = {
    "extract",
    "normalize",
    "collect",
    "deduplicate",
    "aggregate",
    "validate",
    "publish",
    "sweep",
    "billing.discover",
    "billing.choose",
    "billing.load",
    "billing.settle",
}
TOPS = {
    "stages",
    "billing.cli",
    "billing.dictionary",
    "billing.lookup",
    "billing.months",
    "billing.stages",
    "lookup",
    "replay.replay",
    "cli",
    "dictionary",
}  # know the stages; no noun and no stage imports them
FOREIGN = {"airflow", "dags", "usage_common", "usage_lane", "tests", "deploy", "sample"}
HOME_OF = {
    "boto3": ["store"],
    "botocore": ["store", "refusal"],
    "pyarrow.parquet": ["lake"],
    "great_expectations": ["judge"],
    "pandas": ["judge"],
}
READS_ENVIRONMENT = {
    "settings": "its work",
    "shell": "hands the whole environment on to the DuckDB shell, reads nothing from it",
}
HEAVY = ("pandas", "pyarrow", "duckdb", "boto3", "botocore", "great_expectations")
MODULE_LINES, DATA_LINES, DAG_LINES, FUNCTION_LINES, SQL_LINES = 250, 320, 120, 40, 120
OURS = re.compile(
    r"(?<![\w.$}])/(?:work|root|Users)/"  # the machine it was written on
    r"|\b(?:pypi\.(?:org|python)|(?:files\.)?pythonhosted\.org|registry\.npmjs\.org"
    r"|proxy\.golang\.org|index\.crates\.io|repo\.anaconda\.com)\b"
)

LIBRARY = sorted((ROOT / "etl").rglob("*.py"))
DAGS = sorted((ROOT / "dags").glob("*.py"))
MACROS = [ROOT / "sql" / "billing_macros.sql", ROOT / "sql" / "macros.sql"]
MODELS = sorted((ROOT / "sql").glob("*/*.sql"))
CONTRACTS = sorted((ROOT / "contracts").glob("*/*.yaml"))
SUITES = sorted((ROOT / "expectations").glob("*.json"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    """As etl knows it: sql, billing.load."""
    return ".".join(path.relative_to(ROOT / "etl").with_suffix("").parts)


def product() -> list[Path]:
    """Files that belong to the repository, committed or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for line in sorted(set(listed.splitlines())) if (path := ROOT / line).is_file()]


PYTHON = [path for path in product() if path.suffix == ".py" and path not in DAGS]


# The house as it is.


@pytest.mark.parametrize("path", LIBRARY, ids=name)
def test_imports_point_downwards(path):
    assert import_problems(module_of(path), path.read_text()) == []


@pytest.mark.parametrize("path", LIBRARY, ids=name)
def test_only_settings_reads_the_environment(path):
    assert module_of(path) in READS_ENVIRONMENT or environment_problems(path.read_text()) == []


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_a_module_and_its_functions_fit(path):
    assert size_problems(path.read_text(), module_lines(name(path))) == []


@pytest.mark.parametrize("path", DAGS, ids=name)
def test_a_dag_file_is_thin(path):
    assert size_problems(path.read_text(), DAG_LINES) == []
    assert dag_problems(path.read_text()) == []


@pytest.mark.parametrize("path", DAGS, ids=name)
def test_parsing_a_dag_file_loads_nothing_heavy(path):
    modules = sorted({"etl.errors", *library_modules(path.read_text())})

    assert loaded_by(modules) == []


@pytest.mark.parametrize("path", MODELS, ids=name)
def test_a_model_is_one_select_with_a_header(path):
    assert model_problems(path.read_text()) == []


def test_the_macros_are_the_only_sql_that_creates_something():
    statements = [one for path in MACROS for one in duckdb.extract_statements(path.read_text())]

    assert {one.type for one in statements} == {duckdb.StatementType.CREATE}
    assert sorted((ROOT / "sql").rglob("*.sql")) == sorted([*MODELS, *MACROS])


@pytest.mark.parametrize("path", CONTRACTS, ids=name)
def test_a_contract_parses(path):
    assert contract.parse(path).stream == path.parent.name


@pytest.mark.parametrize("table", tables.ALL.values(), ids=lambda table: table.name)
def test_a_table_is_consistent(table):
    assert table_problems(table) == []


@pytest.mark.parametrize("path", SUITES, ids=name)
def test_a_suite_judges_a_table(path):
    assert suite_problems(path.stem, path.read_text()) == []


def test_no_file_names_our_machines():
    found = [f"{name(path)}: {word}" for path in product() for word in private_words(path)]

    assert found == []


# The rules. Each gives its problems as "line: what is wrong", or without a line.


def imports(source: str, package: str = "") -> Iterator[tuple[int, str]]:
    """Every import, wherever it stands: line and dotted name, for `from a import b` a.b."""
    above = package.split(".")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, one.name) for one in node.names)
        if isinstance(node, ast.ImportFrom):
            base = above[: len(above) + 1 - node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{origin}.{one.name}") for one in node.names)


def import_problems(module: str, source: str) -> list[str]:
    found = []
    package_of_it = ".".join(["etl", *module.split(".")[:-1]])
    for line, imported in imports(source, package_of_it):
        package, _, inner = imported.partition(".")
        if package in FOREIGN:
            found.append(f"{line}: the library imports {package}")
        for library, homes in HOME_OF.items():
            if is_within(imported, library) and module not in homes:
                found.append(f"{line}: {library} belongs to etl/{homes[0]}.py")
        if package != "etl" or module in TOPS:
            continue
        for target in sorted(STAGES | TOPS):
            if is_within(inner, target) and target != module:
                who = "stage" if module in STAGES else "noun"
                found.append(f"{line}: a {who} imports {target}")
    return found


def environment_problems(source: str) -> list[str]:
    reads = {"environ", "environb", "getenv", "getenvb"}
    found = [
        f"{node.lineno}: reads os.{node.attr}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and node.attr in reads
        and ast.unparse(node.value) == "os"
    ]
    return found + [
        f"{line}: imports {one}"
        for line, one in imports(source)
        if one[3:] in reads and one[:3] == "os."
    ]


def module_lines(file: str) -> int | None:
    """None for tests: they are lists of cases, and only each of them must fit on a screen."""
    if file.startswith("tests/"):
        return None
    return DATA_LINES if file == "etl/tables.py" else MODULE_LINES


def size_problems(source: str, limit: int | None) -> list[str]:
    lines = len(source.splitlines())
    found = [f"module has {lines} lines"] if limit is not None and lines > limit else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                found.append(f"{node.lineno}: {node.name} has {lines} lines")
    return found


def dag_problems(source: str) -> list[str]:
    return [
        f"{line}: a DAG file imports {library}"
        for line, imported in imports(source)
        for library in HEAVY
        if is_within(imported, library)
    ]


def library_modules(source: str) -> set[str]:
    """Modules of etl that are imported as the file is parsed: not those inside functions."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [ast.Pass()]
    parts = [imported.split(".") for _, imported in imports(ast.unparse(tree))]
    found = [one[1:] for one in parts if one[0] == "etl"]
    return {
        ".".join(["etl", *one[: 2 if (ROOT / "etl" / one[0]).is_dir() else 1]]) for one in found
    }


def loaded_by(modules: list[str]) -> list[str]:
    """Heavy libraries that a fresh interpreter has loaded after these imports."""
    code = (
        f"import sys, {', '.join(modules)}\n"
        f"print(*(one for one in {HEAVY} if one in sys.modules), sep='\\n')"
    )
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()


def model_problems(text: str) -> list[str]:
    head = "\n".join(line for line in text.split("\n\n")[0].splitlines() if line.startswith("--"))
    found = [f"header lacks {key}" for key in ("grain", "inputs") if f"\n-- {key}:" not in head]
    if not re.match(r"-- \w", head):
        found.append("header does not say what a row is")
    if len(text.splitlines()) > SQL_LINES:
        found.append(f"has {len(text.splitlines())} lines")
    if re.search(r"\{\{|\{%|\{#", text):
        found.append("holds a template")
    kinds = [one.type for one in duckdb.extract_statements(text)]
    if kinds != [duckdb.StatementType.SELECT]:
        found.append(f"is not one SELECT but {[kind.name for kind in kinds]}")
    return found


def table_problems(table: Table) -> list[str]:
    """Order names existing columns, each once, and none that is the same in a whole partition."""
    columns = [column.name for column in table.columns]
    found = [f"no column {one}" for one in (*table.partition, *table.order) if one not in columns]
    if not table.order:
        found.append("no order")
    for kind, names in (("column", columns), ("order", [*table.partition, *table.order])):
        found += [f"{kind} {one} twice" for one in sorted(set(names)) if names.count(one) > 1]
    return found


def suite_problems(stem: str, text: str) -> list[str]:
    suite = json.loads(text)
    found = [] if stem in tables.ALL else [f"no table {stem}"]
    if suite["name"] != stem:
        found.append(f"is named {suite['name']}")
    rules = [one["kwargs"]["column"] for one in suite["expectations"]]
    return found + [f"rule {one} twice" for one in sorted(set(rules)) if rules.count(one) > 1]


def private_words(path: Path) -> list[str]:
    try:
        return OURS.findall(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return []  # not text


def is_within(imported: str, library: str) -> bool:
    return f"{imported}.".startswith(f"{library}.")


# The rules can fail.


@pytest.mark.parametrize(
    ("module", "source", "problem"),
    [
        ("sql", "import airflow.sdk", "1: the library imports airflow"),
        ("cli", "def f():\n    from deploy import x", "2: the library imports deploy"),
        ("publish", "from etl.validate import Subject", "1: a stage imports validate"),
        ("publish", "from etl import layout, extract", "1: a stage imports extract"),
        ("tally", "from . import normalize", "1: a noun imports normalize"),
        ("work", "import etl.stages", "1: a noun imports stages"),
        (
            "billing.load",
            "from etl.billing import settle, sums",
            "1: a stage imports billing.settle",
        ),
        ("billing.overlap", "from etl.billing.stages import x", "1: a noun imports billing.stages"),
        ("billing.load", "from . import settle", "1: a stage imports billing.settle"),
        ("billing.load", "from .. import publish", "1: a stage imports publish"),
        ("extract", "import boto3", "1: boto3 belongs to etl/store.py"),
        ("staged", "from pyarrow import parquet", "1: pyarrow.parquet belongs to etl/lake.py"),
        ("sql", "import pandas as pd", "1: pandas belongs to etl/judge.py"),
    ],
)
def test_a_wrong_import_is_seen(module, source, problem):
    assert import_problems(module, source) == [problem]


def test_a_right_import_is_not_reported():
    source = "import pyarrow as pa\nfrom etl import layout, sql\nfrom etl.tables import ALL"

    assert import_problems("publish", source) == []
    assert import_problems("stages", "from etl import publish, validate") == []
    assert import_problems("store", "import boto3\nfrom botocore.config import Config") == []


@pytest.mark.parametrize(
    "source",
    ["import os\nos.environ['A']", "import os\nos.getenv('A')", "\nfrom os import environ"],
)
def test_a_read_of_the_environment_is_seen(source):
    (problem,) = environment_problems(source)
    assert problem.startswith("2: ")


def test_what_is_too_long_is_seen():
    long = "def f():\n" + "    pass\n" * 40

    assert size_problems(long, limit=40) == ["module has 41 lines", "1: f has 41 lines"]
    assert size_problems(long.removesuffix("    pass\n"), limit=40) == []


def test_the_library_is_held_to_a_size():
    files = ("etl/sql.py", "sample/x.py", "etl/tables.py", "tests/x.py")

    assert [module_lines(file) for file in files] == [250, 250, 320, None]


def test_a_heavy_dag_file_is_seen():
    direct = "def task():\n    import pandas"
    through = "from etl import sql\ndef task():\n    from etl import stages"

    assert dag_problems(direct) == ["2: a DAG file imports pandas"]
    assert library_modules(through) == {"etl.sql"}
    assert {"duckdb", "pyarrow"} <= set(loaded_by(["etl.sql"]))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-- A.\n--\n-- inputs: b\n\nSELECT 1", "header lacks grain"),
        ("-- A.\n--\n-- grain: b\n\nSELECT 1\n-- inputs: late", "header lacks inputs"),
        ("--\n-- grain: a\n-- inputs: b\n\nSELECT 1", "header does not say what a row is"),
        ("-- A.\n-- grain: a\n-- inputs: b\n\nSELECT '{{ a }}'", "holds a template"),
        ("-- A.\n-- grain: a\n-- inputs: b\n\nSELECT 1" + "\n" * 120, "has 124 lines"),
        (
            "-- A.\n-- grain: a\n-- inputs: b\n\nCREATE TABLE a AS SELECT 1",
            "is not one SELECT but ['CREATE']",
        ),
        (
            "-- A.\n-- grain: a\n-- inputs: b\n\nSELECT 1; SELECT 2",
            "is not one SELECT but ['SELECT', 'SELECT']",
        ),
    ],
)
def test_a_wrong_model_is_seen(text, problem):
    assert model_problems(text) == [problem]


def test_a_wrong_table_is_seen():
    columns = (Column("day", "date", False, "UTC day"), Column("n", "bigint", False, "rows"))

    assert table_problems(Table("t", "one day", ("day",), ("n",), columns)) == []
    assert table_problems(Table("t", "one day", ("day",), ("m",), columns)) == ["no column m"]
    assert table_problems(Table("t", "one day", ("day",), (), columns)) == ["no order"]
    assert table_problems(Table("t", "d", ("day",), ("n", "n"), columns)) == ["order n twice"]
    assert table_problems(Table("t", "d", ("day",), ("day",), columns)) == ["order day twice"]


def test_a_suite_of_no_table_is_seen():
    suite = json.dumps({"name": "usage_dayly", "expectations": []})

    assert suite_problems("usage_dayly", suite) == ["no table usage_dayly"]
    assert suite_problems("usage_daily", suite) == ["is named usage_dayly"]


@pytest.mark.parametrize("parts", [("'", "root", "x.py'"), ("see ", "work", "main")])
def test_a_path_of_our_machines_is_seen(tmp_path, parts):
    (tmp_path / "a.md").write_text("/".join(parts))
    (tmp_path / "b.md").write_text("s3://lake/work/x {lake}/_work/ ${HOME}/work/ ../work/")

    assert private_words(tmp_path / "a.md") == [f"/{parts[1]}/"]
    assert private_words(tmp_path / "b.md") == []


def test_a_registry_host_is_seen(tmp_path):
    (tmp_path / "a.txt").write_text("--index-url https://" + ".".join(("pypi", "org")) + "/simple")

    assert len(private_words(tmp_path / "a.txt")) == 1
