"""The statement of a usage date: what landed, what counted, what did not and why, as data and as text.

Two dates meet in it: `landed` tells what arrived on that UTC day, whatever it is charged to; `usage` tells
what is charged to that UTC day, whenever it arrived. The shape is documented in docs/statement.md.
"""

import json
from dataclasses import replace
from datetime import date

import duckdb

from etl import layout, sql
from etl.errors import SourceError
from etl.release import Entry, Release
from etl.store import Store
from etl.tables import (
    DUPLICATE,
    QUARANTINE,
    RESTATEMENT,
    UNREAD,
    USAGE_ARRIVAL,
    USAGE_DAILY,
)

SHAPE = 1
TOP_TENANTS = 10
REPORTS = (
    *("landed", "unread", "quarantine", "arrival", "delay", "duplicate"),
    *("conflict", "correction", "total", "tenant", "change"),
)
LANDED = (QUARANTINE, UNREAD)
OF_THE_DAY = (*LANDED, USAGE_ARRIVAL, DUPLICATE, USAGE_DAILY, RESTATEMENT)
TABLES = tuple(table.name for table in OF_THE_DAY)


def narrowed(release: Release, day: date) -> Release:
    """The release with only those partitions of TABLES that the statement of a day reads."""
    columns = {table.name: "usage_date" for table in OF_THE_DAY}
    columns |= {table.name: "landed_date" for table in LANDED}
    tables = {name: release.partitions(name, **{columns[name]: day}) for name in columns}
    return replace(release, body=release.body | {"tables": tables})


def statement(
    engine: duckdb.DuckDBPyConnection, release: Release, lake: Store, usage_date: date
) -> dict:
    """Everything a release knows of a usage date; quantities as text, never as floats. The engine holds
    TABLES by name, at least the partitions of the narrowed release, and what etl/statement/nearby.py gives."""
    found = {name: _rows(engine, f"report/statement_{name}", usage_date) for name in REPORTS}
    gaps = [
        row
        for row in sql.rows(engine, sql.model("reconcile/sequence_gap"))
        if row["landed_date"] == usage_date
    ]
    streams = sorted({row["stream"] for rows in found.values() for row in rows})
    return {
        "statement": SHAPE,
        "usage_date": str(usage_date),
        "release": release.number,
        "release_sha256": release.sha256,
        "released_at": release.body.get("created_at"),
        "streams": [_stream(release, lake, usage_date, name, found, gaps) for name in streams],
    }


def _rows(engine: duckdb.DuckDBPyConnection, model: str, day: date) -> list[dict]:
    text = sql.model(model)
    params = {"day": day} | ({"top": TOP_TENANTS} if "$top" in text else {})
    return sql.rows(engine, text, params)


def _stream(
    release: Release, lake: Store, day: date, stream: str, found: dict, gaps: list[dict]
) -> dict:
    mine = {name: [row for row in rows if row["stream"] == stream] for name, rows in found.items()}
    landed = _first(mine["landed"])
    arrival, correction = _first(mine["arrival"]), _first(mine["correction"])
    return {
        "stream": stream,
        "contract_version": arrival.get("contract_version"),
        "pending": f"{stream}/{day}" in release.pending,
        "landed": {
            "objects": landed.get("objects", 0),
            "objects_refused": landed.get("objects_refused", 0),
            "unread": [_without_stream(row) for row in mine["unread"]],
            "records": landed.get("records", 0),
            "accepted": landed.get("accepted", 0),
            "quarantined": landed.get("quarantined", 0),
            "quarantined_by_reason": {row["reason"]: row["n"] for row in mine["quarantine"]},
        },
        "completeness": _completeness(landed, [row for row in gaps if row["stream"] == stream]),
        "usage": {
            "records": arrival.get("records", 0),
            "measures": arrival.get("measures", 0),
            "late": arrival.get("late", 0),
            "sampled": arrival.get("sampled", 0),
            "clamped": arrival.get("clamped", 0),
            "adjusts": arrival.get("adjusts", 0),
            "delays": [_without_stream(row) for row in mine["delay"]],
            "duplicates": [_without_stream(row) for row in mine["duplicate"]],
            "conflicts": _first(mine["conflict"]).get("records", 0),
            "records_voided": correction.get("records_voided", 0),
            "voids": correction.get("voids", 0),
            "voids_unmatched": correction.get("voids_unmatched", 0),
        },
        "totals": [_without_stream(row) for row in mine["total"]],
        "by_tenant": [_without_stream(row) for row in mine["tenant"]],
        "change": _change(release, day, stream, mine["change"]),
        "validation": _validation(release, lake, day, stream),
    }


def _first(rows: list[dict]) -> dict:
    return rows[0] if rows else {}


def _without_stream(row: dict) -> dict:
    return {name: value for name, value in row.items() if name != "stream"}


def _completeness(landed: dict, gaps: list[dict]) -> dict:
    """Contiguous sequences are exact evidence; without them nothing is claimed."""
    if not landed.get("sequenced"):
        return {"evidence": "unknown", "missing": None, "received": None, "gaps": []}
    return {
        "evidence": "sequence",
        "received": landed["sequenced"],
        "missing": sum(row["missing"] for row in gaps),
        "gaps": [
            {
                name: row[name]
                for name in ("sequence_scope", "first_missing", "missing", "raw_object_key")
            }
            for row in gaps
        ],
    }


def _change(release: Release, day: date, stream: str, rows: list[dict]) -> dict:
    daily = release.partitions("usage_daily", stream=stream, usage_date=day)
    if not rows:
        first = next((entry.get("first", entry["since"]) for entry in daily.values()), None)
        return {
            "kind": "first" if daily else "not_published",
            "release": first,
            "replaces": None,
            "cause": None,
            "totals": [],
        }
    replaced = rows[0]["replaced"]
    ledger = release.partitions("restatement", stream=stream, usage_date=day, replaced=replaced)
    (restatement,) = ledger.values()
    names = ("meter", "unit", "old_quantity", "new_quantity", "difference")
    return {
        "kind": "restated",
        "release": restatement["since"],
        "replaces": replaced,
        "cause": rows[0]["cause"],
        "totals": [{name: row[name] for name in names} for row in rows],
    }


def _validation(release: Release, lake: Store, day: date, stream: str) -> dict:
    """How the published tables were judged, and where results and Data Docs lie."""
    return {
        table: {
            "results": lake.location.url(entry["validation"]),
            "docs": lake.location.url(
                layout.docs(table, f"{stream}.{day}", _hashes(entry), "index.html")
            ),
            "rules": _results(lake, entry["validation"]),
        }
        for table in ("usage_event", "usage_daily")
        for entry in release.partitions(table, stream=stream, usage_date=day).values()
    }


def _results(lake: Store, key: str) -> list[dict]:
    body = lake.read(key)
    if body is None:
        raise SourceError(f"{lake.location.url(key)}, which a release names, is gone: restore it")
    return json.loads(body.data)["results"]


def _hashes(entry: Entry) -> list[str]:
    return [file["sha256"] for file in entry["files"]]
