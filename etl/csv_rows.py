"""Lines of a CSV object -> its rows, each as JSON text under the names of the header: RFC 4180, so a quoted cell may
hold line ends and doubled quotes.

Cells stay the text that was written. An empty one is left out, as a JSON source leaves out what it does not know.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence

csv.field_size_limit(1 << 30)  # Python's own bound lies below that of a contract
MARKS = ",;|\t"


class Broken(Exception):
    """A quote stays open, or for longer than a row may be: where a row ends cannot be told."""


def rows(
    lines: Iterable[bytes], delimiter: str, most_bytes: int
) -> Iterator[tuple[int, bytes, list[str] | None]]:
    """Number of its first line, bytes and cells of each row that is not blank; None in place of cells that cannot be
    told apart. Cells are bytes in Latin-1: only `text` decodes them. Raises Broken."""
    taken: list[bytes] = []
    ended = False

    def given() -> Iterator[str]:
        nonlocal ended
        size = 0
        for line in lines:
            size = len(line) + (size if taken else 0)
            taken.append(line)
            if len(taken) > 1 and size > most_bytes:
                raise Broken
            yield line.decode("latin-1") + "\n"
        ended = True

    reader, number = csv.reader(given(), delimiter=delimiter, strict=True), 1
    while True:
        taken.clear()
        try:
            cells: list[str] | None = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if ended or len(taken) > 1:
                raise Broken from error
            cells = None
        raw = b"\n".join(taken).removesuffix(b"\r")
        if raw.strip():
            yield number, raw, cells
        number += len(taken)


def header(cells: Sequence[str] | None) -> list[str]:
    """Names of the columns; raises Broken where these are none."""
    if cells is None or (len(cells) == 1 and any(mark in cells[0] for mark in MARKS)):
        raise Broken
    try:
        return [cell.encode("latin-1").decode().strip() for cell in cells]
    except UnicodeDecodeError as error:
        raise Broken from error


def text(names: Sequence[str], cells: Sequence[str]) -> str:
    """A row whose bytes are UTF-8 as a JSON object."""
    named = {
        name: cell.encode("latin-1").decode()
        for name, cell in zip(names, cells, strict=True)
        if cell
    }
    return json.dumps(named, ensure_ascii=False)
