"""Bytes of one billing object -> numbered rows, in file order, with the columns as they were delivered.

CSV columns are text; Parquet columns keep their types, because only the engine turns them into text. An object
that cannot be read whole raises Refused: a bill with a hole is never loaded.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from etl import lake, readers
from etl.billing.contract import TWIN, BillingContract, BillingReader, told_apart
from etl.billing.delivery import Refused
from etl.contract import Reader

CHUNK_ROWS = 25_000
BLOCK_BYTES = 4 << 20
HEADER_BYTES = 1 << 20
PARQUET, GZIP = b"PAR1", b"\x1f\x8b"
BOM = "\ufeff"
ROW = "x_row"


def detected(contract: BillingContract, path: Path) -> BillingContract:
    """The contract as it stands for one object: of format and compression by its first bytes, where it leaves
    them open."""
    if contract.reader.format != "detect":
        return contract
    with path.open("rb") as file:
        head = file.read(len(PARQUET))
    found = {
        "format": "parquet" if head == PARQUET else "csv",
        "compression": "gzip" if head.startswith(GZIP) else "none",
    }
    return contract.model_copy(update={"reader": contract.reader.model_copy(update=found)})


def plain(path: Path, reader: BillingReader, target: Path) -> Path:
    """The object decompressed, within the size of the contract; raises Refused."""
    try:
        return readers.plain(path, _lines(reader), target)
    except readers.Unreadable as problem:
        too_large = problem.reason == "object_too_large"
        bound = f"max_object_bytes of the contract is {reader.max_object_bytes}"
        raise Refused(problem.reason, bound if too_large else None) from problem


def header(path: Path, reader: BillingReader) -> list[str]:
    """Column names as delivered; none for JSON lines, whose rows name their own. Raises Refused."""
    match reader.format:
        case "csv":
            names = _csv_header(path)
        case "parquet":
            names = _parquet_header(path)
        case "json_lines":
            return []
    if len(names) > reader.max_columns:
        bound = f"{len(names)}, max_columns of the contract is {reader.max_columns}"
        raise Refused("too_many_columns", bound)
    different = names if reader.format == "csv" else [name.lower() for name in names]
    if len(set(different)) < len(names):
        raise Refused("repeated_column", next(n for n in different if different.count(n) > 1))
    return told_apart(names)


def rows(path: Path, reader: BillingReader, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Tables of x_row and these columns (JSON lines: of x_row and `line`); bounded in memory."""
    if reader.format == "json_lines":
        yield from _json_lines(path, reader)
        return
    number = 1
    csv_file = reader.format == "csv"
    batches = _csv(path, reader, columns) if csv_file else _parquet(path, columns)
    for batch in batches:
        table = pa.Table.from_batches([batch])
        if table.num_rows:
            numbers = pa.array(range(number, number + table.num_rows), pa.int64())
            yield table.append_column(ROW, numbers)
            number += table.num_rows


def chunks(path: Path, reader: BillingReader, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The same rows, CHUNK_ROWS of them or somewhat more at once."""
    waiting: list[pa.Table] = []
    for table in rows(path, reader, columns):
        waiting.append(table)
        if sum(one.num_rows for one in waiting) >= CHUNK_ROWS:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def only_value(path: Path, reader: BillingReader, name: str) -> str | None:
    """What a column holds in all rows of an object that have it; None where that is nothing, or several."""
    found: set[str | None] = set()
    for table in rows(path, reader, [name]):
        found |= set(pc.unique(table[name]).to_pylist())
    found -= {None, "", *reader.null_tokens}
    return found.pop() if len(found) == 1 else None


def _parquet_header(path: Path) -> list[str]:
    try:
        return lake.column_names(path)
    except pa.ArrowInvalid as error:
        raise Refused("object_not_parquet") from error


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    try:
        yield from lake.batches(path, columns)
    except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk, not the object
        raise Refused("object_not_parquet", "a page of it cannot be read") from error


def _csv_header(path: Path) -> list[str]:
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES).removeprefix(readers.BOM)
    if not head.strip():
        raise Refused("object_empty")
    if len(head) >= HEADER_BYTES - len(readers.BOM) and b"\n" not in head:
        raise Refused("too_many_columns", f"its header is longer than {HEADER_BYTES} bytes")
    try:
        names = next(csv.reader(io.StringIO(_text(head), newline="")))
        if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
            raise Refused("object_not_csv", "its columns are divided by another mark than a comma")
        return names
    except csv.Error as error:
        raise Refused("object_not_csv") from error


def _text(head: bytes) -> str:
    """The beginning of an object; where only later lines are no UTF-8, its first one."""
    try:
        return head.decode("utf-8", "strict" if len(head) < HEADER_BYTES else "ignore")
    except UnicodeDecodeError:
        text = head.split(b"\n", 1)[0].decode("utf-8", "replace")
        if "\ufffd" in text:
            raise Refused("object_not_utf8") from None
        return text or "\n"


def _csv(path: Path, reader: BillingReader, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """A row lies in one block or across two: a block as large as the largest row holds any."""
    block_bytes = max(BLOCK_BYTES, reader.max_line_bytes + len("\r\n"))
    convert = arrow_csv.ConvertOptions(
        column_types={name: pa.string() for name in columns},
        include_columns=list(columns),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    names = told_apart(_csv_header(path))
    read = arrow_csv.ReadOptions(block_size=block_bytes, use_threads=False)
    done = 0  # rows
    if any(name.endswith(TWIN) for name in names):
        read.column_names, read.skip_rows = names, 1
    try:
        with arrow_csv.open_csv(
            path,
            read_options=read,
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=convert,
        ) as batches:
            for batch in batches:
                _refuse_long_rows(batch, reader, done)
                yield batch if done else _without_second_bom(batch)
                done += batch.num_rows
    except pa.ArrowInvalid as error:
        if "straddling" in str(error):
            detail = f"beyond row {done}, or a quote is not closed"
            raise Refused("line_too_long", detail) from error
        raise _broken(str(error)) from error


def _broken(said: str) -> Refused:
    """What Arrow says counts rows with the header; it may quote the row: no more of it is told."""
    utf8 = "UTF8" in said or "UTF-8" in said
    row = re.search(r"Row #(\d+): ", said)
    detail = f"row {int(row[1]) - 1}" if row else None
    return Refused("object_not_utf8" if utf8 else "object_not_csv", detail)


def _refuse_long_rows(batch: pa.RecordBatch, reader: BillingReader, done: int) -> None:
    """By their values and what divides them; where the longest values together are short enough, no row is
    looked at."""
    lengths = [pc.binary_length(column) for column in batch.columns]
    if sum(pc.max(one).as_py() or 0 for one in lengths) <= reader.max_line_bytes - len(lengths):
        return
    row = pa.array([len(lengths) - 1] * batch.num_rows, pa.int64())
    for one in lengths:
        row = pc.add(row, pc.fill_null(one, 0))
    if pc.max(row).as_py() > reader.max_line_bytes:
        first = pc.index(pc.greater(row, reader.max_line_bytes), True).as_py()
        bound = f"max_line_bytes of the contract is {reader.max_line_bytes}"
        raise Refused("line_too_long", f"row {done + first + 1}, {bound}")


def _without_second_bom(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A mark of byte order before the first row belongs to no value; seen in Azure's exports."""
    if not batch.num_rows:
        return batch
    first = [batch.column(n)[0].as_py() for n in range(batch.num_columns)]
    if not any(value and value.startswith(BOM) for value in first):
        return batch
    for n, value in enumerate(first):
        if value and value.startswith(BOM):
            clean = value.removeprefix(BOM).strip('"') or None
            column = pa.concat_arrays([pa.array([clean], pa.string()), batch.column(n).slice(1)])
            batch = batch.set_column(n, batch.schema.field(n), column)
    return batch


def _json_lines(path: Path, reader: BillingReader) -> Iterator[pa.Table]:
    for table in readers.records(path, _lines(reader)):
        refused = table.filter(pc.is_valid(table["reader_reason"])).slice(0, 1).to_pylist()
        if refused:
            raise Refused(refused[0]["reader_reason"], f"row {refused[0]['record']}")
        yield pa.table({"line": table["line"], ROW: pc.cast(table["record"], pa.int64())})


def _lines(reader: BillingReader) -> Reader:
    """The same bounds, as the readers of usage know them."""
    return Reader(
        format="json_lines",
        compression=reader.compression,
        max_line_bytes=reader.max_line_bytes,
        max_object_bytes=reader.max_object_bytes,
    )
