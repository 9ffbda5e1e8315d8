"""What bytes are thrown at, and what must hold afterwards: no error but the declared ones, and each record
accounted for once. A broken law is an AssertionError; any other error is a finding too."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa

from etl import (
    contract,
    extract,
    json_text,
    mapping,
    normalize,
    raised,
    readers,
    reasons,
    settings,
    sql,
)
from etl.billing import aliases, text_rows
from etl.billing import contract as billing_contract
from etl.billing import mapping as charge_map
from etl.billing.contract import BillingContract
from etl.billing.delivery import Refused
from etl.contract import Contract, Reader
from etl.errors import ContractError
from etl.layout import stream_names
from etl.manifest import Landed, ObjectResult
from etl.settings import ROOT
from etl.store import Pinned
from fuzz.reached import reached

DAY, DELIVERED = date(2026, 11, 18), datetime(2026, 11, 18, 23)
ENVIRONMENT = {
    "USAGE_EXPORT_LANDING": "s3://landing",
    "USAGE_EXPORT_LAKE": "s3://lake",
    "USAGE_EXPORT_PII_KEY": "0123456789abcdef",
    "USAGE_EXPORT_THREADS": "1",
    "USAGE_EXPORT_MEMORY": "512MB",
}
LIMITS: dict[str, Any] = {"max_line_bytes": 400, "max_object_bytes": 20_000}
READERS = [
    Reader(format="json_lines", compression="none", **LIMITS),
    Reader(format="text_lines", compression="none", pattern="^(.*)$", **LIMITS),
    Reader(format="json_records", compression="none", records_key="Records", **LIMITS),
    Reader(format="json_lines", compression="gzip", **LIMITS),
    Reader(format="csv", compression="none", **LIMITS),
]
KEY, CSV = len(READERS), [one.format for one in READERS].index("csv")
CONTRACTS = ROOT / "contracts"
BILLS, FORMATS = ["aws_cur2", "aws_focus"], ["csv", "parquet"]
STREAMS = stream_names()
_open = ExitStack()


@cache
def scratch() -> Path:
    return Path(_open.enter_context(TemporaryDirectory(prefix="fuzz-")))


@cache
def engine(_: str) -> duckdb.DuckDBPyConnection:
    return _open.enter_context(sql.connect(settings.from_environment(ENVIRONMENT)))


def read(data: bytes) -> None:
    """The first byte chooses: a reader of the rest, which is packed first or is packed, or of an object's key."""
    if not data:
        return
    choice, body = data[0] % (KEY + 1), data[1:]
    if choice == KEY:
        return keyed(body)
    chosen = READERS[choice]
    if chosen.compression == "gzip" and data[0] & 0x80:
        half = len(body) // 2
        body = gzip.compress(body[:half]) + gzip.compress(body[half:])
    whole, readers.BLOCK_BYTES = readers.BLOCK_BYTES, 64  # so that lines cross blocks
    try:
        table = _records(body, chosen)
    finally:
        readers.BLOCK_BYTES = whole
    if table is None:
        return
    rows = table.to_pylist()
    assert [row["record"] for row in rows] == list(range(1, len(rows) + 1)), "records are numbered"
    if chosen.format == "csv":
        return _whole_rows(rows, body.removeprefix(readers.BOM).split(b"\n"))
    if chosen.format != "json_records" and chosen.compression == "none":
        for row, (number, line) in zip(rows, _lines(body), strict=True):
            cut = row["reader_reason"] == "line_too_long"
            assert row["raw_line"] == number, "each line is one record"
            assert line.startswith(row["raw"]) if cut else line == row["raw"], "as it was written"
    if chosen.format != "text_lines":
        for row in rows:
            _exact(row)


def _whole_rows(rows: list[dict], lines: list[bytes]) -> None:
    """Every line below the header is blank or part of one row, which holds it as it was written."""
    end: int | None = None
    for row in rows:
        first = row["raw_line"] - 1
        last = first + row["raw"].count(b"\n") + 1
        assert not any(map(bytes.strip, lines[end or first : first])), "each line is in a row"
        written = b"\n".join(lines[first:last])
        assert written.startswith(row["raw"]), "as it was written"
        assert (row["line"] is None) != (row["reader_reason"] is None), "read, or refused"
        end = last
    assert not any(map(bytes.strip, lines[end or len(lines) :])), "each line is in a row"


def keyed(data: bytes) -> None:
    """The key of a landed object."""
    key = data.decode(errors="replace")
    for promise in contract.load_all(CONTRACTS):
        if promise.discovery.regex.fullmatch(key):
            landed = extract._landed(promise, Pinned(key, "e", None, 1, DELIVERED))
            mapping._object_table([landed])
            reached(f"{promise.stream} {landed.first_sequence is None}")


def normalized(data: bytes) -> None:
    """The first byte chooses the contract, the rest is an object's text: through reader, mapping, judgement."""
    if not data:
        return
    stream = STREAMS[data[0] % len(STREAMS)]
    promise, plain = _promise(stream)
    table = _records(data[1:], plain)
    if table is None or not table.num_rows:
        return
    landed = Landed(Pinned("o", "e", None, len(data), DELIVERED), DAY, "0", 0)
    results = [ObjectResult(landed, "0" * 64)]
    chunk = table.append_column("object_id", pa.array([0] * table.num_rows, pa.int32()))
    rows = normalize._rows(engine(stream), promise, chunk, results)
    normalize._count(rows, results)
    results[0].tallies(stream)
    accepted = set(rows.accepted["raw_line"].to_pylist())
    refused = rows.refused["raw_line"].to_pylist()
    assert sorted([*accepted, *refused]) == table["raw_line"].to_pylist(), "each record once"
    for reason in rows.refused["reason"].to_pylist():
        assert reason in reasons.REASONS, reason
        assert reason != raised.REASON, "our own mappings raise on no record"
        reached(f"{stream} {reason}")


def billed(data: bytes) -> None:
    """The first byte chooses a billing contract and a format, the rest is one object of a delivery: refused with
    a declared reason, or each of its rows is a charge or has a problem."""
    if not data:
        return
    promise = _bill(BILLS[data[0] % len(BILLS)], FORMATS[data[0] // len(BILLS) % len(FORMATS)])
    (scratch() / "object").write_bytes(data[1:])
    try:
        plain = text_rows.plain(scratch() / "object", promise.reader, scratch() / "plain")
        columns = aliases.resolve(promise, text_rows.header(plain, promise.reader))
        for table in text_rows.rows(plain, promise.reader, columns.names):
            _charged(promise, columns, table)
    except Refused as refused:
        assert refused.reason in reasons.DELIVERY, refused.reason
        reached(refused.reason)


def _charged(promise: BillingContract, columns: aliases.Columns, table: pa.Table) -> None:
    prepared = charge_map.prepare(engine(promise.stream), promise, columns, table, {})
    made = charge_map.map_rows(prepared, table)
    assert made["x_row"] == table["x_row"], "each row once, in their order"
    problems = made["row_problem"].drop_null().to_pylist()
    for problem in {problem.partition(":")[0] for problem in problems}:
        assert problem in reasons.DELIVERY, problem
        reached(problem)


def promised(data: bytes) -> None:
    """A contract file, of usage or of a bill: good, or refused with a ContractError that names it."""
    stream = "billing/aws_cur2" if b"billing.reader" in data else "app_usage"
    path = scratch() / stream / "1.0.0.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    try:
        if stream == "app_usage":
            contract._parsed.cache_clear()
            mapping.prepare(engine("a usage contract"), contract.parse(path))
        else:
            billing_contract._parsed.cache_clear()
            charge_map.check(engine("a billing contract"), billing_contract.parse(path))
    except ContractError as error:
        assert f"{stream.split('/')[-1]}/1.0.0.yaml" in str(error), "the file is named"


CHECKS: dict[str, Callable[[bytes], None]] = {
    "reader": read,
    "mapping": normalized,
    "bill": billed,
    "contract": promised,
}


@cache
def _bill(stream: str, form: str) -> BillingContract:
    found = billing_contract.load(CONTRACTS, stream)
    limits = {"format": form, "compression": "none", "max_line_bytes": 4000, "max_columns": 200}
    return found.model_copy(update={"reader": found.reader.model_copy(update=limits)})


@cache
def _promise(stream: str) -> tuple[Contract, Reader]:
    found = contract.load(CONTRACTS, stream)
    mapping.prepare(engine(stream), found)
    return found, found.reader.model_copy(
        update=LIMITS | {"compression": "none", "max_line_bytes": 4000}
    )


def _records(body: bytes, reader: Reader) -> pa.Table | None:
    (scratch() / "object").write_bytes(body)
    try:
        plain = readers.plain(scratch() / "object", reader, scratch() / "plain")
        tables = list(readers.records(plain, reader))
    except readers.Unreadable as refused:
        assert refused.reason in reasons.OBJECT
        reached(refused.reason)
        return None
    return pa.concat_tables([readers.SCHEMA.empty_table(), *tables])


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Another reading of the same rule: each line that is not blank is a record."""
    for number, line in enumerate(body.removeprefix(readers.BOM).split(b"\n"), 1):
        line = line.removesuffix(b"\r")
        if line.strip():
            yield number, line


def _exact(row: dict) -> None:
    reason = row["reader_reason"]
    assert (row["line"] is None) == (reason is not None), "refused, or there"
    if reason in ("not_utf8", "line_too_long"):
        return
    assert reason == json_text.fault(row["raw"])
    assert reason or row["line"].encode() == json_text.exact(row["raw"])
    reached(str(reason))
