"""expectations/ against staged tables: every rule holds, or nothing is published.

Each rule of a suite is SQL: `bad_rows` is a predicate of `staged`, `count` a scalar. The engine counts over
the whole partition, Great Expectations judges the counts, and the predicate itself finds the failing rows.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from etl import judge, layout, sql, staged
from etl.contract import Contract
from etl.errors import QualityError
from etl.release import Entry
from etl.settings import ROOT, Settings
from etl.store import Store
from etl.tables import Table

EXPECTATIONS = ROOT / "expectations"
SHOWN_ROWS = 5


@dataclass(frozen=True)
class Subject:
    """What is judged: staged partitions of one table, and the tally that they must equal."""

    table: Table
    contract: Contract
    day: date
    usage_date: date | None  # None: the partitions hold several usage dates
    entries: tuple[Entry, ...]
    tallies: tuple[Entry, ...]

    @property
    def name(self) -> str:
        return f"{self.contract.stream}.{self.day}"


def validate(settings: Settings, lake: Store, subject: Subject, folder: Path) -> str:
    """Judge staged partitions; returns the key of the results, raises QualityError if a rule fails.

    Data Docs pages are uploaded either way, results only where all critical rules hold.
    """
    suite = json.loads((EXPECTATIONS / f"{subject.table.name}.json").read_text())
    with sql.connect(settings) as engine:
        _bind(engine, lake, subject, folder)
        violations = _violations(engine, suite)
        moment = datetime(subject.day.year, subject.day.month, subject.day.day, tzinfo=UTC)
        results = judge.judge(suite, violations, subject.name, moment, folder / "site")
        docs = _upload_docs(lake, subject, folder / "site")
        failed = [one for one in results if not one["success"] and one["severity"] == "critical"]
        if failed:
            raise QualityError(_message(engine, subject, suite, failed, lake.url(docs)))
    return _keep(lake, subject, results, docs)


def _bind(engine: duckdb.DuckDBPyConnection, lake: Store, subject: Subject, folder: Path) -> None:
    """Everything that a rule may name: staged, scope, expected_column, expected_total, meter_unit, attribution_rule."""
    contract = subject.contract
    staged.give(engine, lake, "staged", subject.table.name, list(subject.entries), folder)
    staged.give(engine, lake, "tally", "tally", list(subject.tallies), folder)
    engine.execute("""
        CREATE OR REPLACE TEMP VIEW expected_total AS
        SELECT meter, unit, sum(rows_out)::BIGINT AS n, sum(quantity_out)::DECIMAL(38,9) AS quantity
        FROM tally WHERE meter IS NOT NULL GROUP BY ALL HAVING n > 0""")
    engine.execute(
        "CREATE OR REPLACE TEMP TABLE scope AS SELECT ? AS stream, ?::DATE AS usage_date, "
        "? AS late_window_days, ?::VARCHAR[] AS allowed_labels",
        [
            contract.stream,
            subject.usage_date,
            contract.discovery.late_window_days,
            list(contract.labels.allowed),
        ],
    )
    columns = subject.table.sql_columns
    engine.register(
        "expected_column", pa.table({"name": list(columns), "type": list(columns.values())})
    )
    meters = {"meter": list(contract.meters), "unit": list(contract.meters.values())}
    engine.register("meter_unit", pa.table(meters))
    engine.register(
        "attribution_rule", pa.table({"rule": [one.rule for one in contract.attribution]})
    )


def _rule(expectation: dict) -> str:
    return expectation["kwargs"]["column"]


def _violations(engine: duckdb.DuckDBPyConnection, suite: dict) -> dict[str, int]:
    """Violations of each rule: predicates of `staged` in one pass over it, the other counts one by one."""
    rules = {_rule(one): one["meta"] for one in suite["expectations"]}
    counts = {rule: meta["count"] for rule, meta in rules.items() if "count" in meta}
    found = {
        rule: sql.rows(engine, f"SELECT coalesce({count}, 1)::BIGINT AS violations")[0][
            "violations"
        ]
        for rule, count in counts.items()
    }
    predicates = {rule: meta["bad_rows"] for rule, meta in rules.items() if rule not in counts}
    if predicates:
        passes = (f"count(*) FILTER ({p}) AS n{n}" for n, p in enumerate(predicates.values()))
        (row,) = sql.rows(engine, f"SELECT {', '.join(passes)} FROM staged")
        found |= dict(zip(predicates, row.values(), strict=True))
    return found


def _message(
    engine: duckdb.DuckDBPyConnection, subject: Subject, suite: dict, failed: list[dict], docs: str
) -> str:
    """Which rule, how many rows, where they came from; never a value."""
    rules = {_rule(one): one["meta"] for one in suite["expectations"]}
    lines = [
        f"{one['rule']} ({rules[one['rule']]['says']}): {one['violations']} violations"
        + _lineage(engine, subject, rules[one["rule"]])
        for one in failed
    ]
    where = f"{subject.table.name} of {subject.contract.stream}, {subject.day}"
    return (
        f"{where}: {len(failed)} expectations failed, nothing was published: "
        + "; ".join(lines)
        + f"; see {docs}"
    )


def _lineage(engine: duckdb.DuckDBPyConnection, subject: Subject, meta: dict) -> str:
    if "bad_rows" not in meta or "raw_line" not in subject.table.sql_columns:
        return ""
    found = sql.rows(
        engine,
        f"SELECT raw_object_key, raw_line FROM staged WHERE {meta['bad_rows']} ORDER BY ALL LIMIT {SHOWN_ROWS}",
    )
    return ", first at " + ", ".join(f"{row['raw_object_key']}:{row['raw_line']}" for row in found)


def _upload_docs(lake: Store, subject: Subject, site: Path) -> str:
    """The pages of this validation (their style comes from the network); returns the index's key."""
    hashes = _hashes(subject.entries)

    def key(page: str) -> str:
        return layout.docs(subject.table.name, subject.name, hashes, page)

    for page in sorted(site.rglob("*.html")):
        lake.write(key(page.relative_to(site).as_posix()), page.read_bytes())
    return key("index.html")


def _keep(lake: Store, subject: Subject, results: list[dict], docs: str) -> str:
    """Results as JSON under the hash of their content: equal data gives an equal key."""
    body = {
        "table": subject.table.name,
        "stream": subject.contract.stream,
        "day": str(subject.day),
        "files": sorted(_hashes(subject.entries)),
        "docs": docs,
        "results": results,
    }
    data = json.dumps(body, sort_keys=True, indent=1).encode()
    name = layout.partition({"stream": subject.contract.stream, "day": subject.day})
    key = layout.validation(subject.table.name, name, hashlib.sha256(data).hexdigest())
    lake.write(key, data)
    return key


def _hashes(entries: Iterable[Entry]) -> list[str]:
    return [file["sha256"] for entry in entries for file in entry["files"]]
