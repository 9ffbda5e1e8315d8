"""What leaves by a shell: DuckDB's own shell on a release, a result as table, CSV or JSON, a page as a file."""

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from etl import shown
from etl.errors import SettingError


def shell(setup: str) -> int:
    """DuckDB's own shell on the views of a release; the file with credentials is gone when it ends."""
    shell = Path(sys.executable).parent / "duckdb"
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder) / "start.sql"
        start.touch(mode=0o600)
        start.write_text(setup)
        quietly = (f".output {os.devnull}", f'.read "{start}"', ".output")
        given = [word for one in quietly for word in ("-cmd", one)]
        return subprocess.call(
            [shell, "-unsigned", "-no-init", *given], env=os.environ | {"TZ": "UTC"}
        )


def show(result: object, form: str) -> None:
    """Decimals and times as text: a number leaves exactly as it is stored. CSV and JSON are data: every value
    leaves as it came, also one that a spreadsheet would take for a formula."""
    if result is None:
        return
    if form == "table":
        with contextlib.redirect_stdout(io.StringIO()) as box:
            result.show(max_rows=200, max_width=200)  # type: ignore[attr-defined]
        print(shown.lines(box.getvalue()), end="")
        return
    columns = result.columns  # type: ignore[attr-defined]
    rows = result.fetchall()  # type: ignore[attr-defined]
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([columns, *rows])
        return
    if twice := sorted({one for one in columns if columns.count(one) > 1}):
        raise SettingError(
            f"two columns are named {twice[0]}, and JSON would keep one: name them apart with AS"
        )
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    print(json.dumps(found, indent=1, default=str))


def save(path: Path, text: str) -> None:
    """Write a page; SettingError where its file cannot be opened. What fails later is not its name's fault."""
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise SettingError(
            f"{path}: {error.strerror}: name a file that can be written, in a folder that is there"
        ) from error
    with file:
        file.write(text)
