"""Raw records -> canonical measures | quarantined records with a reason, in bounded batches.

The contract's SELECT sees one text column a declared property, with personal data already dropped or
pseudonymized: it cannot publish what it never gets. Every record of every object ends as accepted,
refused, or part of a refused object; a tally an object proves it.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from etl import lake, mapping, raised, readers, sql, unread, verdict
from etl.contract import Contract
from etl.errors import ContractError
from etl.manifest import Count, Landed, ObjectResult
from etl.parallel import side_by_side
from etl.settings import Settings
from etl.store import Store
from etl.tables import QUARANTINE, USAGE_ARRIVAL
from etl.unread import Unread

CHUNK_RECORDS = 120_000  # planning the models takes as long as 8,000 records
CHUNK_BYTES = 64 << 20


@dataclass(frozen=True)
class Rows:
    """What became of one chunk of records."""

    accepted: pa.Table
    refused: pa.Table
    counted: list[dict]
    raised: int = 0  # records of those refused on which the contract's SQL raised
    failure: ContractError | None = None  # where it raised on every record that it was given


def normalize(
    settings: Settings, landing: Store, contract: Contract, objects: list[Landed], folder: Path
) -> tuple[list[ObjectResult], list[Unread]]:
    """Read the objects and write accepted.parquet and refused.parquet into `folder`, accepted rows in the
    order of the objects and their lines.

    An object that object storage does not hand out holds back no other: it is named among the unread.
    ContractError where the contract's SQL raises on every record: that is no fault of theirs.
    """
    results: list[ObjectResult] = []
    failures: list[tuple[int, ContractError | None]] = []
    missed: list[Unread] = []
    chunks = _chunks(_records(landing, contract, objects, folder, results, missed))
    with _Output(folder) as output, ExitStack() as opened:
        engines = [
            opened.enter_context(sql.connect(settings.share(settings.threads)))
            for _ in range(settings.threads)
        ]
        mapping.prepare(engines[0], contract)  # also where nothing is read
        ready = {engines[0]}

        def work(engine: duckdb.DuckDBPyConnection, chunk: pa.Table) -> Rows:
            if engine not in ready:  # most batches are one chunk, and need one engine
                mapping.prepare(engine, contract)
                ready.add(engine)
            return _rows(engine, contract, chunk, results)

        for rows in side_by_side(engines, chunks, work):
            output.write(rows)
            _count(rows, results)
            failures.append((rows.raised, rows.failure))
        output.refused.write(_refused_objects(contract, results))
    _refuse_failed(failures)
    for result in results:
        result.tallies(contract.stream)  # out of balance? then not a row of this batch is handed on
    return results, missed


def _rows(
    engine: duckdb.DuckDBPyConnection,
    contract: Contract,
    chunk: pa.Table,
    results: list[ObjectResult],
) -> Rows:
    try:
        return _normalize_chunk(engine, contract, chunk, results)
    except duckdb.OperationalError:
        raise  # memory or disk, not the records
    except duckdb.Error as error:  # its message may quote a record: it goes no further
        failure = _failed(contract, chunk, results, error)
    marked = raised.marked(chunk, lambda some: _normalize_chunk(engine, contract, some, results))
    try:
        rows = _normalize_chunk(engine, contract, marked, results)
    except duckdb.OperationalError:
        raise
    except duckdb.Error:
        raise failure from None  # not for the sake of single records
    count = pc.sum(pc.equal(rows.refused["reason"], raised.REASON)).as_py() or 0
    (given,) = sql.rows(engine, "SELECT count(*) AS records FROM raw")
    return replace(rows, raised=count, failure=None if given["records"] else failure)


def _failed(
    contract: Contract, chunk: pa.Table, results: list[ObjectResult], error: duckdb.Error
) -> ContractError:
    numbers = pc.min_max(chunk["object_id"]).as_py()
    first, last = (results[numbers[end]].landed.pinned.key for end in ("min", "max"))
    return ContractError(
        f"{contract.stream}/{contract.version}.yaml: usage.mapping: sql/{contract.mapping.sql}.sql "
        f"raised {type(error).__name__} on the records of {first} to {last}: it must give NULL or a "
        "reject_reason for any input, TRY() helps"
    )


def _refuse_failed(failures: list[tuple[int, ContractError | None]]) -> None:
    if sum(count for count, _ in failures) > 1:  # one record alone says nothing of the SQL
        told = [failure for _, failure in failures]
        if all(told) and told[0]:
            raise told[0]


def _normalize_chunk(
    engine: duckdb.DuckDBPyConnection,
    contract: Contract,
    chunk: pa.Table,
    results: list[ObjectResult],
) -> Rows:
    mapping.bind(engine, contract, chunk, [one.landed for one in results])
    mapping.map_records(engine)
    arrival = verdict.judged(engine, contract)
    engine.register("arrival", arrival)
    accepted = verdict.in_order(arrival.filter(pc.is_null(arrival["reject_reason"])))
    rows = lake.shaped(accepted.select(USAGE_ARRIVAL.schema.names), USAGE_ARRIVAL.schema)
    names = {"stream": contract.stream, "version": contract.version}
    refused = sql.arrow(engine, "usage/quarantine", **names)
    counted = [
        row
        for model in ("usage/normalize_input", "usage/normalize_count")
        for row in sql.rows(engine, sql.model(model))
    ]
    return Rows(rows, lake.shaped(refused, QUARANTINE.schema), counted)


def _count(rows: Rows, results: list[ObjectResult]) -> None:
    """Add a chunk to its objects' counts: what came in and what became of it, each counted apart."""
    for row in rows.counted:
        counts = results[row["object_id"]].counts
        counts.setdefault((row["meter"], row["unit"]), Count()).add(row)


def _records(
    landing: Store,
    contract: Contract,
    objects: Iterable[Landed],
    folder: Path,
    results: list[ObjectResult],
    missed: list[Unread],
) -> Iterator[pa.Table]:
    """Record tables of all objects, each with its object_id; an unreadable object gives none."""
    packed, unpacked = folder / "object", folder / "object.plain"
    for landed in objects:
        try:
            sha256 = landing.fetch(landed.pinned, packed)
        except unread.OF_ONE_OBJECT as error:
            missed.append(unread.failed(landed, error))
            unread.refuse_outage(missed)
            continue
        number, result = len(results), ObjectResult(landed, sha256)
        results.append(result)
        try:
            plain = readers.plain(packed, contract.reader, unpacked)
            for table in readers.records(plain, contract.reader):
                identifier = pa.array([number] * table.num_rows, pa.int32())
                yield table.append_column("object_id", identifier)
        except readers.Unreadable as error:
            result.outcome = error.reason
    unread.refuse_outage(missed, len(results))


def _chunks(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    rows = size_bytes = 0
    for table in tables:
        waiting.append(table)
        rows, size_bytes = rows + table.num_rows, size_bytes + table.nbytes
        if rows >= CHUNK_RECORDS or size_bytes >= CHUNK_BYTES:
            yield pa.concat_tables(waiting)
            waiting, rows, size_bytes = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting)


def _refused_objects(contract: Contract, results: list[ObjectResult]) -> pa.Table:
    """One quarantine row (line 0) for each object that could not be read as a whole."""
    rows = [
        {
            "stream": contract.stream,
            "schema_version": contract.version,
            "landed_date": one.landed.landed_date,
            "reason": one.outcome,
            "raw_object_key": one.landed.pinned.key,
            "raw_object_etag": one.landed.pinned.etag,
            "raw_line": 0,
            "delivered_at": one.landed.pinned.delivered_at,
            "quantities": [],
            "raw_encoding": "utf-8",
        }
        for one in results
        if one.outcome != "read"
    ]
    return pa.Table.from_pylist(rows, QUARANTINE.schema)


class _Output:
    """The two staged files of a batch; closed together."""

    def __init__(self, folder: Path) -> None:
        self.accepted = lake.writer(folder / "accepted.parquet", USAGE_ARRIVAL)
        self.refused = lake.writer(folder / "refused.parquet", QUARANTINE)

    def write(self, rows: Rows) -> None:
        self.accepted.write(rows.accepted)
        self.refused.write(rows.refused)

    def __enter__(self) -> "_Output":
        return self

    def __exit__(self, *_: object) -> None:
        self.accepted.close()
        self.refused.close()
