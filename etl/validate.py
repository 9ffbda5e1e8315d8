"""expectations/ against staged tables: every rule holds, or nothing is published.

Each rule of a suite is SQL: `bad_rows` is a predicate of `staged`, `count` a scalar. The engine counts over
the whole partition, Great Expectations judges the counts, and the predicate itself finds the failing rows;
beside a `count`, `found` may be a query of one text each that says what was found.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path

import duckdb
import pyarrow as pa

from etl import judge, layout, shown, sql, staged
from etl.billing.contract import BillingContract
from etl.contract import Contract
from etl.errors import QualityError
from etl.release import Entry
from etl.settings import ROOT, Settings
from etl.shown import many
from etl.store import Store
from etl.tables import Table

EXPECTATIONS = ROOT / "expectations"
SHOWN_ROWS = 5
PLACES = (("raw_object_key", "raw_line"), ("x_object_key", "x_row"))


@dataclass(frozen=True)
class Subject:
    """What is judged: staged partitions of one table, the tally that they must equal, and what else the
    rules may name."""

    table: Table
    stream: str
    part: str  # what tells this subject from others of its table and stream: a day or a month
    moment: date  # stands in for the time of the run, so that equal data has equal pages
    entries: tuple[Entry, ...]
    tallies: tuple[Entry, ...]
    inputs: Mapping[str, pa.Table]

    @property
    def name(self) -> str:
        return f"{self.stream}.{self.part}"


def usage(
    table: Table,
    versions: Sequence[Contract],
    day: date,
    usage_date: date | None,
    entries: tuple[Entry, ...],
    tallies: tuple[Entry, ...],
) -> Subject:
    """Partitions of usage; without a usage date they hold several. A date may hold rows of several versions of
    its contract: what one of them allows is allowed."""
    late_window_days = max(one.discovery.late_window_days for one in versions)
    labels = sorted({key for one in versions for key in one.labels.allowed})
    meters = sorted({pair for one in versions for pair in one.meters.items()})
    rules = sorted({rule.rule for one in versions for rule in one.attribution})
    scope = {
        "stream": pa.array([versions[0].stream]),
        "usage_date": pa.array([usage_date], pa.date32()),
        "late_window_days": pa.array([late_window_days]),
        "allowed_labels": pa.array([labels], pa.list_(pa.string())),
    }
    named = [{"meter": meter, "unit": unit} for meter, unit in meters]
    inputs = {
        "scope": pa.table(scope),
        "meter_unit": pa.Table.from_pylist(named),
        "attribution_rule": pa.table({"rule": rules}),
    }
    return Subject(table, versions[0].stream, str(day), day, entries, tallies, inputs)


def charges(table: Table, contract: BillingContract, partition: str, entry: Entry) -> Subject:
    """One partition of charge or charge_daily."""
    values = {k.removeprefix("x_"): v for k, v in layout.partition_values(partition).items()}
    period = values["billing_period"]
    names = ("provider", "billing_period", "stream", "delivery")
    scope = {name: pa.array([values.get(name)], pa.string()) for name in names}
    part = ".".join([period, *([values["delivery"]] if "delivery" in values else [])])
    return Subject(
        table,
        contract.stream,
        part,
        date.fromisoformat(f"{period}-01"),
        (entry,),
        (),
        {"scope": pa.table(scope)},
    )


def validate(settings: Settings, lake: Store, subject: Subject, folder: Path) -> str:
    """Judge staged partitions; returns the key of the results, raises QualityError if a rule fails.

    Data Docs pages are uploaded either way, results only where all critical rules hold.
    """
    suite = json.loads(suite_text(subject.table))
    with sql.connect(settings) as engine, ThreadPoolExecutor(1) as beside:
        beside.submit(judge.ready)
        _bind(engine, lake, subject, folder)
        violations = _violations(engine, suite)
        moment = datetime.combine(subject.moment, time(), UTC)
        results = judge.judge(suite, violations, subject.name, moment, folder / "site")
        docs = _upload_docs(lake, subject, folder / "site")
        failed = [one for one in results if not one["success"] and one["severity"] == "critical"]
        if failed:
            raise QualityError(_message(engine, subject, suite, failed, lake.url(docs)))
    return _keep(lake, subject, results, docs)


def suite_text(table: Table) -> str:
    """The expectations of a table."""
    return (EXPECTATIONS / f"{table.name}.json").read_text()


def _bind(engine: duckdb.DuckDBPyConnection, lake: Store, subject: Subject, folder: Path) -> None:
    """Everything that a rule may name: staged, tally, expected_column, expected_total, the inputs."""
    staged.give(engine, lake, "staged", subject.table.name, list(subject.entries), folder)
    staged.give(engine, lake, "tally", "tally", list(subject.tallies), folder)
    engine.execute("""
        CREATE OR REPLACE TEMP VIEW expected_total AS
        SELECT meter, unit, sum(rows_out)::BIGINT AS n, sum(quantity_out)::DECIMAL(38,9) AS quantity
        FROM tally WHERE meter IS NOT NULL GROUP BY ALL HAVING n > 0""")
    for name, rows in subject.inputs.items():
        engine.register(name, rows)
    columns = subject.table.sql_columns
    engine.register(
        "expected_column", pa.table({"name": list(columns), "type": list(columns.values())})
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
    """A line a rule: which, how many rows, where they came from; of values no more than `found` tells."""
    rules = {_rule(one): one["meta"] for one in suite["expectations"]}
    lines = [
        f"  {one['rule']} ({rules[one['rule']]['says']}): {many(one['violations'], 'violation')}"
        + _lineage(engine, subject, rules[one["rule"]])
        for one in failed
    ]
    where = f"{subject.table.name} of {subject.stream}, {subject.part}"
    head = f"{where}: {many(len(failed), 'expectation')} failed, it is not published:"
    return "\n".join([head, *lines, f"see {docs}"])


def _lineage(engine: duckdb.DuckDBPyConnection, subject: Subject, meta: dict) -> str:
    if "found" in meta:
        texts = engine.execute(f"{meta['found']} LIMIT {SHOWN_ROWS}").fetchall()
        return "".join(f"\n    {shown.value(text)}" for (text,) in texts)
    columns = subject.table.sql_columns
    place = next((pair for pair in PLACES if set(pair) <= columns.keys()), None)
    if "bad_rows" not in meta or place is None:
        return ""
    key, line = place
    found = engine.execute(
        f"SELECT {key}, {line} FROM staged WHERE {meta['bad_rows']} ORDER BY ALL LIMIT {SHOWN_ROWS}"
    ).fetchall()
    return ", first at " + ", ".join(f"{shown.value(one)}:{number}" for one, number in found)


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
        "stream": subject.stream,
        "day": subject.part,
        "files": sorted(_hashes(subject.entries)),
        "docs": docs,
        "results": results,
    }
    data = json.dumps(body, sort_keys=True, indent=1).encode()
    name = layout.partition({"stream": subject.stream, "day": subject.part})
    key = layout.validation(subject.table.name, name, hashlib.sha256(data).hexdigest())
    lake.write(key, data)
    return key


def _hashes(entries: Iterable[Entry]) -> list[str]:
    return [file["sha256"] for entry in entries for file in entry["files"]]
