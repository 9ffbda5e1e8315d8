"""Where the mutations of each target begin: the samples of the sources, the contracts, and hostile cases."""

import csv
import gzip
import io
from collections.abc import Iterator

import pyarrow as pa
from pyarrow import parquet

from etl import contract
from etl.billing import contract as billing_contract
from etl.settings import ROOT
from fuzz.targets import BILLS, CONTRACTS, CSV, KEY, READERS, STREAMS
from tests.hostile import CASES

SEED_BYTES, MAGIC = 4000, b"\x1f\x8b"
VALUES = {
    "number": "1.25",
    "timestamp": "2026-10-02T00:00:00Z",
    "object": '{"team": "a"}',
    "array": "[]",
}


def seeds(target: str) -> Iterator[bytes]:
    """Where the mutations begin: the samples of the sources, the contracts, and hostile cases."""
    if target == "contract":
        yield from (path.read_bytes() for path in sorted(CONTRACTS.glob("**/*.yaml")))
        return
    if target == "bill":
        yield from _bills()
        return
    if target == "reader":
        yield bytes([CSV]) + b'id,"of, whom"\n1,a\n\n2,"b ""c""\nd"\n3,\n'
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
    return bytes([formats.index(contract.load(CONTRACTS, stream).reader.format)])


def _bills() -> Iterator[bytes]:
    """One row with a value in each column that the contract knows, as CSV and as Parquet."""
    for number, stream in enumerate(BILLS):
        columns = [
            (one.path.split("|")[0], VALUES.get(one.type, "Usage"))
            for one in billing_contract.load(CONTRACTS, stream).properties
            if "*" not in one.path
        ]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(zip(*columns, strict=True))
        yield bytes([number]) + text.getvalue().encode()
        yield bytes([number + len(BILLS)]) + _parquet([dict(columns)])


def _parquet(lines: list[dict[str, str]]) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(lines), file)
    return file.getvalue()
