"""docs/data-dictionary.md says what the code says, and every reason code is explained."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb

from etl import dictionary, markdown, raised, unread
from etl.reasons import DELIVERY, GROUPS, REASONS

ROOT = Path(__file__).parent.parent
CHECKED_IN = ROOT / "docs" / "data-dictionary.md"


def test_the_checked_in_dictionary_is_what_is_generated():
    assert CHECKED_IN.read_text(encoding="utf-8") == dictionary.text(), "run make docs"


def test_a_stale_file_is_named_with_the_remedy(tmp_path, capsys):
    path = tmp_path / "docs" / "dictionary.md"

    assert dictionary.main([str(path), "--check"]) == 1
    assert dictionary.main([str(path)]) == 0
    assert dictionary.main(["--check", str(path)]) == 0
    path.write_text(path.read_text() + "by hand\n")
    assert dictionary.main(["--check", str(path)]) == 1

    said = capsys.readouterr().err
    assert said.count("run make docs") == 2
    assert str(path) in said


def test_the_header_of_a_model_is_read_whole():
    sql = (
        "-- Totals,\n-- by day.\n--\n-- grain:   day\n-- inputs:  a (one),\n--   b\n\nSELECT 1 -- x"
    )

    assert dictionary.header(sql) == ("Totals, by day.", {"grain": "day", "inputs": "a (one), b"})


def test_a_pipe_in_a_cell_does_not_break_its_row():
    grid = markdown.grid(("code", "meaning"), [("`a|b`", "one\n  sentence")])

    assert grid.splitlines()[-1] == r"| `a\|b` | one sentence |"


def test_every_reason_that_the_code_can_give_is_explained_and_none_is_stale():
    assert found_reasons() == REASONS.keys()


def test_every_outcome_of_a_delivery_is_explained_and_none_is_stale():
    house = ROOT / "etl"
    library = {path.relative_to(house).as_posix(): path.read_text() for path in house.rglob("*.py")}
    text = "".join(library.values())
    given = re.findall(r'Refused\(\s*"(\w+)"', text)
    given += re.findall(r'\.at\(\s*(?:SEEN|COMPLETE|REJECTED|SUPERSEDED),\s+"(\w+)"', text)
    words = library["billing/mapping.py"] + library["billing/typed.py"]
    given += re.findall(r"""['"]'?(time_not_readable|not_json|no_value)\b""", words)
    given += re.findall(r"'(amount_\w+)'", (ROOT / "sql" / "billing_macros.sql").read_text())
    # what the readers of usage say of an object or a line, they say of a bill's too
    given += [
        "object_not_gzip",
        "object_truncated",
        "object_too_large",
        "line_too_long",
        "not_utf8",
        *python_reasons(library["json_text.py"]),
    ]

    assert set(given) == DELIVERY.keys()


def test_a_reason_stands_in_one_group_only():
    assert sum(len(group) for group in GROUPS.values()) == len(REASONS)


def test_reasons_are_found_in_sql_and_in_python():
    model = (
        "SELECT CASE a WHEN 1 THEN 'x' END AS b, CASE WHEN a = 2 THEN 'y' ELSE 'z' END AS reason"
    )
    code = (
        "reasons[i], text = 'cut', None\nraise Unreadable('bad')\nother = 'no'\n"
        "def fault(a):\n    if a:\n        return 'odd'\n    return None"
    )

    assert set(sql_reasons(model)) == {"y", "z"}
    assert set(python_reasons(code)) == {"cut", "bad", "odd"}


def found_reasons() -> set[str]:
    models = [path.read_text() for path in sorted((ROOT / "sql").glob("*/*.sql"))]
    macros = re.findall(
        r"MACRO \w+_problem\(\w+\) AS\s(.*?);", (ROOT / "sql" / "macros.sql").read_text(), re.DOTALL
    )
    parsing = re.findall(r'unparsed = "(.*)"', (ROOT / "etl" / "mapping.py").read_text())
    alone = [f"SELECT {one} AS reason" for one in (*macros, *parsing)]
    found = {code for text in (*models, *alone) for code in sql_reasons(text)}
    found |= {*unread.REASON_OF.values(), unread.BATCH_FAILED, unread.LOST, unread.WITHHELD}
    found.add(raised.REASON)
    for path in sorted((ROOT / "etl").rglob("*.py")):
        found |= set(python_reasons(path.read_text()))
    return found


def sql_reasons(text: str) -> Iterator[str]:
    """Literals that a CASE called reason or reject_reason may give, by DuckDB's own parser."""
    (tree,) = duckdb.execute("SELECT json_serialize_sql(?)", [text]).fetchone() or ()
    for node in _nodes(json.loads(tree)):
        if node.get("class") == "CASE" and node["alias"] in ("reason", "reject_reason"):
            given = [node["else_expr"], *(check["then_expr"] for check in node["case_checks"])]
            yield from (
                one["value"]["value"]
                for one in given
                if one["class"] == "CONSTANT" and not one["value"]["is_null"]
            )


def _nodes(tree: dict | list) -> Iterator[dict]:
    if isinstance(tree, dict):
        yield tree
    for below in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(below, dict | list):
            yield from _nodes(below)


def python_reasons(text: str) -> Iterator[str]:
    """What `raise Unreadable(...)`, `reasons[...], ... = ...` and functions named fault name."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(func=ast.Name("Unreadable"), args=[ast.Constant(str(code))]):
                yield code
            case ast.Assign(
                targets=[ast.Tuple([ast.Subscript(ast.Name("reasons")), *_])],
                value=ast.Tuple([ast.Constant(str(code)), *_]),
            ):
                yield code
            case ast.FunctionDef(name="fault"):
                given = [one.value for one in ast.walk(node) if isinstance(one, ast.Return)]
                yield from (one.value for one in given if one.value is not None)
