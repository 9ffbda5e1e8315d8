"""Bytes of one landed object -> records as text, each with its line: json_lines, text_lines, json_records, csv.

Every non-blank line (or element of the array) is one record and comes out exactly once, readable or not:
a record the reader itself must refuse carries its reason. An object that cannot be decoded as a whole
raises Unreadable, and is refused whole: it is never half-counted.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from isal import igzip, isal_zlib

from etl import csv_rows, json_array, json_shape
from etl.contract import Reader

BLOCK_BYTES = 4 << 20
SHOWN_BYTES = 1 << 16  # of a line that is too long
GZIP_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]
BOM = b"\xef\xbb\xbf"
SCHEMA = pa.schema(
    [
        ("raw_line", pa.int64()),  # position in the object, first is 1
        ("record", pa.int64()),  # ordinal among the object's records, first is 1
        ("line", pa.string()),  # null where the reader refused it
        ("raw", pa.binary()),
        ("reader_reason", pa.string()),
    ]
)


class Unreadable(Exception):
    """The whole object is refused; `reason` is its stable code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def plain(path: Path, reader: Reader, target: Path) -> Path:
    """Decompressed object on scratch, within the contract's size; raises Unreadable."""
    if reader.compression == "none":
        if path.stat().st_size > reader.max_object_bytes:
            raise Unreadable("object_too_large")
        return path
    if not path.stat().st_size:
        return path
    try:
        with igzip.open(path, "rb") as packed, target.open("wb") as file:
            while piece := packed.read(BLOCK_BYTES):
                file.write(piece)
                if file.tell() > reader.max_object_bytes:
                    raise Unreadable("object_too_large")
    except EOFError as error:
        raise Unreadable("object_truncated") from error
    except (OSError, GZIP_ERROR) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk, not the object
        raise Unreadable("object_not_gzip") from error
    return target


def records(path: Path, reader: Reader) -> Iterator[pa.Table]:
    """Tables of SCHEMA in file order; bounded by BLOCK_BYTES, json_records by the object's size."""
    if reader.format == "json_records":
        yield from _array_elements(path, reader)
        return
    if reader.format == "csv":
        yield from _csv_rows(path, reader)
        return
    line, record = 1, 1
    for block in _blocks(path, reader.max_line_bytes):
        table = _clean_table(block, line, record, reader)
        if table is None:
            table = _line_table(block.split(b"\n"), line, record, reader)
        line, record = line + block.count(b"\n") + 1, record + table.num_rows
        if table.num_rows:
            yield json_shape.judged(table) if reader.format == "json_lines" else table


def _blocks(path: Path, max_line_bytes: int) -> Iterator[bytes]:
    """Whole lines, the last without its end. A line that is too long is cut, so that memory stays bounded."""
    rest = b""
    with path.open("rb") as file:
        if file.read(len(BOM)) != BOM:
            file.seek(0)
        while piece := file.read(BLOCK_BYTES):
            lines, end, last = (rest + piece).rpartition(b"\n")
            if end:
                yield lines
            rest = last if len(last) <= max_line_bytes + BLOCK_BYTES else last[: max_line_bytes + 1]
    if rest:
        yield rest


def _clean_table(block: bytes, line: int, record: int, reader: Reader) -> pa.Table | None:
    """A block of which every line is a record as it stands, without a look at each; None where one is not."""
    if b"\r" in block:
        return None
    letters = np.frombuffer(block, np.uint8)
    starts = np.concatenate(([0], np.flatnonzero(letters == ord("\n")) + 1))
    if not block or block.endswith(b"\n") or (letters[starts] <= ord(" ")).any():
        return None  # blank, or white space that must be looked at
    if np.diff(starts, append=len(block) + 1).max() - 1 > reader.max_line_bytes:
        return None
    raw = pc.split_pattern(pa.array([block], pa.binary()), b"\n").values
    try:
        text = raw.cast(pa.string())
    except pa.ArrowInvalid:
        return None
    numbers = np.arange(len(raw))
    columns = [numbers + line, numbers + record, text, raw, pa.nulls(len(raw), pa.string())]
    return pa.table([pa.array(column) for column in columns], schema=SCHEMA)


def _line_table(lines: list[bytes], line: int, record: int, reader: Reader) -> pa.Table:
    numbers = list(range(line, line + len(lines)))
    if any(one.endswith(b"\r") for one in lines):
        lines = [one.removesuffix(b"\r") for one in lines]
    if any(not one or one.isspace() for one in lines):
        kept = [(n, one) for n, one in zip(numbers, lines, strict=True) if one.strip()]
        numbers, lines = [n for n, _ in kept], [one for _, one in kept]
    return _table(numbers, lines, record, reader)


def _table(numbers: list[int], raw: list[bytes], record: int, reader: Reader) -> pa.Table:
    reasons: list[str | None] = [None] * len(raw)
    shown = min(SHOWN_BYTES, reader.max_line_bytes)  # what lies further on may have been cut out
    text: list[bytes | None] = list(raw)
    for i, long in enumerate(raw):
        if len(long) > reader.max_line_bytes:
            reasons[i], text[i], raw[i] = "line_too_long", None, long[:shown]
    column = pa.array(text, pa.binary())
    try:
        line = column.cast(pa.string())
    except pa.ArrowInvalid:
        for i, one in enumerate(text):
            if one is not None and not _is_utf8(one):
                reasons[i], text[i] = "not_utf8", None
        line = pa.array(text, pa.binary()).cast(pa.string())
    records = pa.array(range(record, record + len(raw)), pa.int64())
    return pa.table(
        [
            pa.array(numbers, pa.int64()),
            records,
            line,
            pa.array(raw, pa.binary()),
            pa.array(reasons, pa.string()),
        ],
        schema=SCHEMA,
    )


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _array_elements(path: Path, reader: Reader) -> Iterator[pa.Table]:
    """Elements of the array under `records_key`, each with its exact text."""
    try:
        text = path.read_bytes().removeprefix(BOM).decode()
        spans = json_array.spans(text, reader.records_key or "")
    except json_array.RepeatedKey as error:
        raise Unreadable("object_repeated_key") from error
    except ValueError as error:
        raise Unreadable("object_not_json") from error
    for first in range(0, len(spans), 10_000):
        part = [text[start:end].encode() for start, end in spans[first : first + 10_000]]
        numbers = list(range(first + 1, first + 1 + len(part)))
        yield json_shape.judged(_table(numbers, part, first + 1, reader))


def _csv_rows(path: Path, reader: Reader) -> Iterator[pa.Table]:
    """The rows below the header. Read twice: whether rows can be told apart shows at the end of the object."""
    try:
        for _ in _divided(path, reader):
            pass
        found = _divided(path, reader)
        first = next(found, None)
        names = csv_rows.header(first[2]) if first else []
    except csv_rows.Broken as error:
        raise Unreadable("object_not_csv") from error
    if len(set(names)) < len(names):
        raise Unreadable("object_repeated_key")
    record = 1
    while part := list(islice(found, 10_000)):
        numbers, raw, cells = map(list, zip(*part, strict=True))
        table = _table(numbers, raw, record, reader)
        yield _named(table, names, cells)
        record += len(part)


def _divided(path: Path, reader: Reader) -> Iterator[tuple[int, bytes, list[str] | None]]:
    blocks = _blocks(path, reader.max_line_bytes)
    lines = (line for block in blocks for line in block.split(b"\n"))
    return csv_rows.rows(lines, reader.delimiter, reader.max_line_bytes)


def _named(table: pa.Table, names: list[str], cells: list[list[str] | None]) -> pa.Table:
    """Rows of a CSV object with JSON in place of their text; what is no row of the header's is refused."""
    reasons = table["reader_reason"].to_pylist()
    lines: list[str | None] = [None] * len(cells)
    for n, row in enumerate(cells):
        if row is None or len(row) != len(names):
            if reasons[n] is None:
                reasons[n], lines[n] = "not_csv", None
        elif reasons[n] is None:
            lines[n] = csv_rows.text(names, row)
    for name, values in (("line", lines), ("reader_reason", reasons)):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, pa.array(values, pa.string()))
    return table
