"""Generated CloudEvents for the bench: whole days of gzip JSON lines, the same bytes for the same numbers.

Of each day's lines 4 % deliver an earlier record again and 0.02 % are cut short. DuckDB writes them, from the
line's number alone; what a day must come to is kept beside it as truth.json.
"""

import json
from datetime import date, datetime, time, timedelta
from pathlib import Path

import duckdb

FIRST_DAY = date(2026, 11, 2)
OBJECT_LINES = 100_000
TENANTS = 10_000
FIRST_LATE = 900_000_000_000
LINES = """
    CREATE OR REPLACE TEMP TABLE line AS
    SELECT n, kind, cut, quantity, tenant, second,
        '{"specversion":"1.0","id":"' || left(sha256('id' || n), 26) || '","source":"//svc-' || h % 40
        || '.example.com/pod-' || h // 64 % 200 || '","type":"'
        || ['com.example.api.call.v1', 'com.example.tokens.used.v1', 'com.example.seat.minutes.v2'][kind + 1]
        || '","time":"' || strftime(second, '%Y-%m-%dT%H:%M:%S.%gZ') || '","subject":"t-'
        || lpad(tenant::VARCHAR, 5, '0') || '","datacontenttype":"application/json","data":{"quantity":'
        || CASE kind WHEN 1 THEN '"' || quantity::VARCHAR || '"' ELSE quantity::INTEGER::VARCHAR END
        || ',"feature":"' || ['core', 'export', 'beta'][h // 7 % 3 + 1] || '"}}' AS whole
    FROM (
        SELECT n, i, cut, (hash(n) // 2)::BIGINT AS h, (hash(n) % 3)::BIGINT AS kind, hash(n, 1) % $tenants AS tenant,
            CASE WHEN hash(n) % 3 = 1 THEN (hash(n, 2) % 9000000 / 1000)::DECIMAL(18,3)
                ELSE (hash(n, 2) % 100)::DECIMAL(18,3) END AS quantity,
            $day::TIMESTAMP + to_milliseconds((hash(n, 3) % 86400000)::BIGINT) AS second
        FROM (
            SELECT i, hash(i, 5) % 5000 = 0 AS cut,
                CASE WHEN hash(i, 4) % 100 < 4 THEN greatest(i - 1 - (hash(i, 6) % 50000)::BIGINT, $first)
                    ELSE i END AS n
            FROM range($start, $end) numbers(i)
        )
    )
    ORDER BY i
"""
TRUTH = """
    SELECT ['api_calls Requests', 'llm_tokens Tokens', 'seat_minutes Minutes'][kind + 1] AS meter,
        sum(quantity)::DECIMAL(38,9)::VARCHAR AS quantity, count(*) AS records
    FROM (SELECT DISTINCT n, kind, quantity FROM delivered WHERE NOT cut) GROUP BY ALL ORDER BY ALL
"""


def generate(folder: Path, days: int, events_a_day: int) -> list[date]:
    """Make the days that are not there yet; returns them."""
    made = [FIRST_DAY + timedelta(days=n) for n in range(days)]
    for number, day in enumerate(made):
        if not truth_file(folder, day).exists():
            _day(folder, day, number * events_a_day, events_a_day)
    return made


def objects(folder: Path, day: date) -> list[Path]:
    return sorted((folder / _path(day)).glob("*.json.gz"))


def truth(folder: Path, day: date) -> dict:
    """Lines, and quantity and records by meter and unit, that a day must come to."""
    return json.loads(truth_file(folder, day).read_text())


def truth_file(folder: Path, day: date) -> Path:
    return folder / f"{day}.truth.json"


def delivered_at(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(1))


def late(folder: Path, day: date, records: int = 1000) -> Path:
    """One object more, landed on the day after, whose records belong to this day."""
    target = (
        folder / "late" / _path(day + timedelta(days=1)) / f"usage.events+0+{FIRST_LATE}.json.gz"
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as engine:
        _lines(engine, day, FIRST_LATE, FIRST_LATE, FIRST_LATE + records)
        _write(engine, target)
    return target


def _day(folder: Path, day: date, first: int, events: int) -> None:
    (folder / _path(day)).mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as engine:
        engine.execute(
            "CREATE TEMP TABLE delivered(n BIGINT, kind BIGINT, quantity DECIMAL(18,3), cut BOOLEAN)"
        )
        for start in range(first, first + events, OBJECT_LINES):
            _lines(engine, day, first, start, min(start + OBJECT_LINES, first + events))
            engine.execute("INSERT INTO delivered SELECT n, kind, quantity, cut FROM line")
            _write(engine, folder / _path(day) / f"usage.events+0+{start:012d}.json.gz")
        meters = {
            meter: {"quantity": quantity, "records": records}
            for meter, quantity, records in engine.execute(TRUTH).fetchall()
        }
        (lines,) = engine.execute("SELECT count(*) FROM delivered").fetchone() or (0,)
    truth_file(folder, day).write_text(json.dumps({"lines": lines, "meters": meters}))


def _lines(engine: duckdb.DuckDBPyConnection, day: date, first: int, start: int, end: int) -> None:
    numbers = {"start": start, "end": end, "first": first, "day": str(day), "tenants": TENANTS}
    engine.execute(LINES, numbers)


def _write(engine: duckdb.DuckDBPyConnection, target: Path) -> None:
    engine.execute(
        f"COPY (SELECT CASE WHEN cut THEN left(whole, 70) ELSE whole END FROM line) TO '{target}' "
        "(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01', COMPRESSION gzip)"
    )


def _path(day: date) -> str:
    return f"topics/usage.events/year={day:%Y}/month={day:%m}/day={day:%d}"
