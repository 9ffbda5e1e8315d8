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

from etl import contract, extract, json_text, mapping, normalize, readers, reasons, settings, sql
from etl.contract import Contract, Reader
from etl.errors import ContractError
from etl.layout import stream_names
from etl.manifest import Landed, ObjectResult
from etl.settings import ROOT
from etl.store import Pinned
from fuzz.reached import reached
from tests.hostile import CASES

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
]
KEY = len(READERS)
STREAMS = stream_names()
SEED_BYTES, MAGIC = 4000, b"\x1f\x8b"
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
    readers.BLOCK_BYTES = 64  # so that lines cross blocks
    table = _records(body, chosen)
    if table is None:
        return
    rows = table.to_pylist()
    assert [row["record"] for row in rows] == list(range(1, len(rows) + 1)), "records are numbered"
    if chosen.format != "json_records" and chosen.compression == "none":
        for row, (number, line) in zip(rows, _lines(body), strict=True):
            cut = row["reader_reason"] == "line_too_long"
            assert row["raw_line"] == number, "each line is one record"
            assert line.startswith(row["raw"]) if cut else line == row["raw"], "as it was written"
    if chosen.format != "text_lines":
        for row in rows:
            _exact(row)


def keyed(data: bytes) -> None:
    """The key of a landed object."""
    key = data.decode(errors="replace")
    for promise in contract.load_all(ROOT / "contracts"):
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
        reached(f"{stream} {reason}")


def promised(data: bytes) -> None:
    """A contract file: good, or refused with a ContractError that names it."""
    path = scratch() / "app_usage" / "1.0.0.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    contract._parsed.cache_clear()
    try:
        mapping.prepare(engine("contract"), contract.parse(path))
    except ContractError as error:
        assert "app_usage/1.0.0.yaml" in str(error), "the file is named"


CHECKS: dict[str, Callable[[bytes], None]] = {
    "reader": read,
    "mapping": normalized,
    "contract": promised,
}


def seeds(target: str) -> Iterator[bytes]:
    """Where the mutations begin: the samples of the sources, the contracts, and hostile cases."""
    if target == "contract":
        yield from (path.read_bytes() for path in sorted((ROOT / "contracts").glob("*/*.yaml")))
        return
    samples = ROOT / "tests" / "samples"
    for path in sorted(path for path in samples.glob("*/landing/**/*") if path.is_file()):
        stream, _, *key = path.relative_to(samples).parts
        yield _chosen(target, stream) + path.read_bytes()
        if target == "reader":
            yield bytes([KEY]) + "/".join(key).encode()
    gathered: dict[str, bytes] = {}
    for number, case in enumerate(CASES):
        if isinstance(case.given, bytes):
            continue
        body = case.body(number)
        text = gzip.decompress(body) if body[:2] == MAGIC else body
        if (
            len(text) < SEED_BYTES
        ):  # lines of many cases in one seed: a run over them costs the same
            before = gathered.pop(case.stream, b"")
            lines = case.stream != "cloudtrail" and len(before) < SEED_BYTES
            yield from [_chosen(target, case.stream) + before] if before and not lines else []
            gathered[case.stream] = before + text if lines else text
    yield from (_chosen(target, stream) + text for stream, text in gathered.items())


def _chosen(target: str, stream: str) -> bytes:
    """The first byte of an input: a reader, or a contract."""
    if target == "mapping":
        return bytes([STREAMS.index(stream)])
    formats = [one.format for one in READERS]
    return bytes([formats.index(contract.load(ROOT / "contracts", stream).reader.format)])


@cache
def _promise(stream: str) -> tuple[Contract, Reader]:
    found = contract.load(ROOT / "contracts", stream)
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
