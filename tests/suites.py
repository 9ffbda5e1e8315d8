"""Suites of expectations for tests: their rules, and literal rows as the `staged` that they judge."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from etl import validate
from etl.validate import EXPECTATIONS, Subject

TWICE = "two equal rows"
SHORT = "a column less"


def suite(table: str) -> dict[str, dict]:
    found = json.loads((EXPECTATIONS / f"{table}.json").read_text())
    assert found["name"] == table
    return {one["kwargs"]["column"]: one for one in found["expectations"]}


def violations(engine: duckdb.DuckDBPyConnection, rules: list[dict]) -> dict[str, int]:
    return validate._violations(engine, {"expectations": rules})


def broken(good: dict, bad: dict | str) -> list[dict]:
    """The rows of a case: a good one, twice, or with the values that break a rule."""
    if bad == TWICE:
        return [good, good]
    return [good | bad] if isinstance(bad, dict) else [good]


def stage(engine, subject: Subject, rows: list[dict], without: str | None = None) -> None:
    """Bind literal rows as `staged`, and everything else that a rule may name."""
    with TemporaryDirectory() as folder:
        validate._bind(engine, None, subject, Path(folder))
    selects = " UNION ALL ".join(
        "SELECT "
        + ", ".join(
            f"{literal(row.get(name))}::{kind} AS {name}"
            for name, kind in subject.table.sql_columns.items()
            if name != without
        )
        for row in rows
    )
    engine.execute(f"CREATE OR REPLACE TEMP VIEW staged AS {selects}")


def literal(value: object) -> str:
    if isinstance(value, dict):
        return "MAP {" + ", ".join(f"'{k}': '{v}'" for k, v in value.items()) + "}"
    return "NULL" if value is None else f"'{value}'"
