"""Bytes of one landed object -> records as text, each with its line: json_lines, text_lines, json_records.

Every non-blank line (or element of the array) is one record and comes out exactly once, readable or not:
a record the reader itself must refuse carries its reason. An object that cannot be decoded as a whole
raises Unreadable, and is refused whole: it is never half-counted.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from isal import igzip, isal_zlib

from etl import json_shape
from etl.contract import Reader

BLOCK_BYTES = 4 << 20
SHOWN_BYTES = 1 << 16  # of a line that is too long
Item = TypeVar("Item")
Spans = list[tuple[int, int]]
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
SPACES = re.compile(r"[ \t\r\n]*")
# a bracket, a string, or the beginning of a string without end
MARK = re.compile(r'[{}\[\]]|"(?:[^"\\]++|\\.)*+"|"', re.DOTALL)
# digits do not matter here, and thousands of them would be refused as an integer
DECODER = json.JSONDecoder(parse_int=str, parse_float=str)


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
    text: list[bytes | None] = list(raw)
    for i, long in enumerate(raw):
        if len(long) > reader.max_line_bytes:
            reasons[i], text[i], raw[i] = "line_too_long", None, long[:SHOWN_BYTES]
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
        spans = _spans(text, reader.records_key or "")
    except (ValueError, IndexError) as error:
        raise Unreadable("object_not_json") from error
    for first in range(0, len(spans), 10_000):
        part = [text[start:end].encode() for start, end in spans[first : first + 10_000]]
        numbers = list(range(first + 1, first + 1 + len(part)))
        yield json_shape.judged(_table(numbers, part, first + 1, reader))


def _spans(text: str, key: str) -> Spans:
    """Where the elements of {"key": [ … ]} begin and end; ValueError or IndexError unless the whole text is
    one JSON object with this array."""
    start = _skip(text, 0)
    members, end = _sequence(text, start, "{}", lambda text, at: _member(text, at, key))
    if len({name for name, _ in members}) < len(members):
        raise Unreadable("object_repeated_key")
    spans = dict(members).get(key)
    if spans is None or _skip(text, end) < len(text):
        raise ValueError(f"not one object with an array {key}")
    return spans


def _sequence(
    text: str, position: int, brackets: str, item: Callable[[str, int], tuple[Item, int]]
) -> tuple[list[Item], int]:
    """What stands between two brackets, separated by commas; and where it ends."""
    items: list[Item] = []
    position = _expect(text, position, brackets[0])
    while text[position] != brackets[1]:
        if items:
            position = _expect(text, position, ",")
        one, end = item(text, position)
        items.append(one)
        position = _skip(text, end)
    return items, position + 1


def _member(text: str, position: int, key: str) -> tuple[tuple[str, Spans | None], int]:
    """Name of a member, and the spans of its elements where it is the array under `key`."""
    if text[position] != '"':
        raise ValueError("a key is a string")
    name, end = DECODER.raw_decode(text, position)
    value = _expect(text, _skip(text, end), ":")
    if name != key or text[value] != "[":
        return (name, None), _end(text, value)
    spans, end = _sequence(text, value, "[]", _element)
    return (name, spans), end


def _element(text: str, position: int) -> tuple[tuple[int, int], int]:
    end = _end(text, position)
    return (position, end), end


def _end(text: str, position: int) -> int:
    """Behind a JSON value. One that is nested too deeply for the decoder is taken by its brackets alone."""
    try:
        return DECODER.raw_decode(text, position)[1]
    except RecursionError:
        level = 0
        for mark in MARK.finditer(text, position):
            level += {"{": 1, "[": 1, "}": -1, "]": -1}.get(mark[0], 0)
            if level == 0 or mark[0] == '"':
                break
        if level or mark[0] == '"':
            raise ValueError("a string or a bracket without its end") from None
        return mark.end()


def _expect(text: str, position: int, mark: str) -> int:
    if text[position] != mark:
        raise ValueError(f"no {mark}")
    return _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    return SPACES.match(text, position).end()  # type: ignore[union-attr]
