"""Batches of normalized rows -> the partitions of their landed dates, sorted, hashed and uploaded.

A landed date is made whole from all its objects, so its files depend on landing alone: not on how objects
were batched, in which order they were read, or on what earlier runs had seen. Only where an object cannot be
read now do they hold what was published of it before (etl/carried.py).
"""

from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from etl import carried, lake, manifest, sql, tally, unread
from etl.batch import Read
from etl.contract import Contract
from etl.manifest import ObjectResult
from etl.privacy import quote
from etl.release import Release
from etl.settings import Settings
from etl.staged import Staged, control_totals
from etl.tables import MANIFEST, QUARANTINE, TALLY, UNREAD, USAGE_ARRIVAL, USAGE_KEY
from etl.tally import Tally

KEYS = """
    SELECT DISTINCT stream, usage_date, landed_date, key_hash(record_key) AS key_hash,
        key_hash(corrects_key) AS corrects_hash, delivered_at,
        CASE record_kind WHEN 'void' THEN key_hash(corrects_key) END AS void_hash
    FROM"""


def collect(
    settings: Settings,
    contract: Contract,
    base: Release,
    dates: Iterable[date],
    read: Read,
    staged: Staged,
) -> list[Tally]:
    """Stage all partitions of these landed dates; partitions of `base` that are no more are removed.

    What `base` holds of objects that could not be read now stays in their dates as it is.
    """
    stream, days = contract.stream, sorted(dates)
    tallies = [one for result in read.results for one in result.tallies(stream)]
    with sql.connect(settings) as engine:
        like = {"accepted": USAGE_ARRIVAL.sql_columns, "refused": QUARANTINE.sql_columns}
        sql.give(engine, {"accepted": read.accepted, "refused": read.refused}, like)
        missed = [one.key for one in read.unread]
        carried.give(engine, staged.store, base, stream, days, missed, staged.folder)
        engine.execute(
            f"CREATE TEMP VIEW arrival AS {_arrival(contract)} "
            "UNION ALL BY NAME FROM carried_usage_arrival"
        )
        for landed in days:
            mine = [one for one in read.results if one.landed.landed_date == landed]
            ours = [one for one in tallies if one.date == landed]
            _stage_arrivals(engine, contract, base, landed, read, staged)
            _stage_ledgers(engine, contract, landed, mine, ours, staged)
            rows = sum(one.rows for one in mine) + carried.rows(engine, landed)
            tallies.append(_conserved(contract, landed, rows, staged))
        _stage_unread(engine, contract, base, read, staged)
    return tallies


def _arrival(contract: Contract) -> str:
    """For object_first, equal records of one object are told apart by their number in it, so that only
    a repeat in another object counts as the same record."""
    if contract.identity.scope != "object_first":
        return "SELECT * FROM accepted"
    return """
        SELECT * EXCLUDE (nth) REPLACE (
            sha256(record_key || chr(31) || nth) AS record_key,
            sha256(sha256(record_key || chr(31) || nth) || chr(31) || meter) AS idempotency_key
        )
        FROM (
            SELECT *, dense_rank() OVER (PARTITION BY raw_object_key, record_key ORDER BY raw_line) AS nth
            FROM accepted
        )"""


def _stage_arrivals(
    engine: duckdb.DuckDBPyConnection,
    contract: Contract,
    base: Release,
    landed: date,
    read: Read,
    staged: Staged,
) -> None:
    """Most rows of a landed date belong to one usage date: they are copied, as they come in its order. What
    is few, or not as it was read, is sorted."""
    mine = {"stream": contract.stream, "landed_date": landed}
    found = sql.rows(
        engine,
        "SELECT usage_date, count(*) AS rows FROM arrival WHERE landed_date = ? GROUP BY ALL ORDER BY ALL",
        [landed],
    )
    as_read = (
        contract.identity.scope != "object_first"
        and not carried.rows(engine, landed)
        and manifest.in_order([one.landed for one in read.results])
    )
    for row in found:
        day = row["usage_date"]
        partition = {"stream": contract.stream, "usage_date": day, "landed_date": landed}
        rows = f"arrival WHERE landed_date = '{landed}' AND usage_date = '{day}'"
        if as_read and 2 * row["rows"] > sum(one["rows"] for one in found):
            file = staged.in_order(USAGE_ARRIVAL, _of_date(read.accepted, landed, day))
            totals = control_totals(engine, USAGE_ARRIVAL, file.path)
            staged.add_file(USAGE_ARRIVAL, file, partition, (), totals)
        else:
            staged.add(engine, USAGE_ARRIVAL, f"SELECT * FROM {rows}", partition)
        staged.add(engine, USAGE_KEY, f"{KEYS} {rows}", partition)
    for table in (USAGE_ARRIVAL, USAGE_KEY):
        for name in (
            base.partitions(table.name, **mine).keys() - staged.tables.get(table.name, {}).keys()
        ):
            staged.remove(table, name)


def _of_date(accepted: list[Path], landed: date, usage_date: date) -> Iterator[pa.Table]:
    for path in accepted:
        for rows in lake.rows(path, USAGE_ARRIVAL):
            ours = pc.and_(
                pc.equal(rows["landed_date"], landed), pc.equal(rows["usage_date"], usage_date)
            )
            yield rows if pc.all(ours).as_py() else rows.filter(ours)


def _stage_ledgers(
    engine: duckdb.DuckDBPyConnection,
    contract: Contract,
    landed: date,
    results: list[ObjectResult],
    tallies: list[Tally],
    staged: Staged,
) -> None:
    partition = {"stream": contract.stream, "landed_date": landed}
    day = quote(str(landed))
    engine.register("object_result", _manifest(contract, results))
    engine.register("tally_row", tally.table(tallies))
    for table, rows in (
        (QUARANTINE, f"SELECT * FROM refused WHERE landed_date = {day}"),
        (MANIFEST, "SELECT * FROM object_result"),
    ):
        kept = f"FROM carried_{table.name} WHERE landed_date = {day}"
        staged.add(engine, table, f"{rows} UNION ALL BY NAME {kept}", partition)
    staged.add(
        engine,
        TALLY,
        f"SELECT * FROM tally_row UNION ALL BY NAME FROM carried_tally WHERE date = {day}",
        {"stage": "normalize", "stream": contract.stream, "date": landed},
    )


def _stage_unread(
    engine: duckdb.DuckDBPyConnection,
    contract: Contract,
    base: Release,
    read: Read,
    staged: Staged,
) -> None:
    """The ledger, of every landed date where it changes: an object may have come under another date."""
    before = unread.ledger(engine, staged.store, base, contract.stream, staged.folder)
    seen = {one.landed.pinned.key for one in read.results}
    after = unread.after(before, seen, read.unread)
    for landed in sorted({one.landed_date for one in [*before, *after]}):
        old, new = (
            {(one.key, one.etag, one.reason) for one in some if one.landed_date == landed}
            for some in (before, after)
        )
        if old != new:
            rows = [one for one in after if one.landed_date == landed]
            engine.register("unread_row", unread.table(contract.stream, rows))
            partition = {"stream": contract.stream, "landed_date": landed}
            staged.add(engine, UNREAD, "SELECT * FROM unread_row", partition)


def _manifest(contract: Contract, results: list[ObjectResult]) -> pa.Table:
    rows = [
        {
            "stream": contract.stream,
            "schema_version": contract.version,
            "landed_date": one.landed.landed_date,
            "raw_object_key": one.landed.pinned.key,
            "raw_object_etag": one.landed.pinned.etag,
            "version_id": one.landed.pinned.version_id,
            "size_bytes": one.landed.pinned.size_bytes,
            "sha256": one.sha256,
            "delivered_at": one.landed.pinned.delivered_at,
            "sequence_scope": one.landed.sequence_scope,
            "first_sequence": one.landed.first_sequence,
            "outcome": one.outcome,
            "records": one.records.rows_in,
            "records_accepted": one.records.kept,
            "records_refused": one.records.refused,
            "rows": one.rows,
        }
        for one in results
    ]
    return pa.Table.from_pylist(rows, MANIFEST.schema)


def _conserved(contract: Contract, landed: date, rows: int, staged: Staged) -> Tally:
    """What normalize kept, and what is carried, is what the files of the landed date hold."""
    entries = [
        entry
        for name, entry in staged.tables.get(USAGE_ARRIVAL.name, {}).items()
        if entry is not None and name.endswith(f"landed_date={landed}")
    ]
    return Tally(
        stage="collect",
        stream=contract.stream,
        date=landed,
        scope=f"landed_date={landed}",
        rows_in=rows,
        rows_out=sum(file["rows"] for entry in entries for file in entry["files"]),
    )
