"""focus-validator in an environment of its own: it pins an older DuckDB, NumPy and pandas than ours."""

import subprocess
import sys
from pathlib import Path

PACKAGES = ("focus-validator==2.2.1", "pyarrow<26")
UV = Path(sys.prefix) / "bin" / "uv"
SECONDS = 1800


def install(environment: Path, python: str) -> str | None:
    """Make the environment where it is not yet made; returns why that is impossible here."""
    if _program(environment).exists():
        return None
    commands: tuple[list[str | Path], ...] = (
        [UV, "venv", "-q", "--clear", "--python", python, environment],
        [UV, "pip", "install", "-q", "--python", environment / "bin" / "python", *PACKAGES],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return f"focus-validator cannot be installed: {done.stderr.strip()}"
    return None


def validate(folder: Path, data: Path) -> str:
    """Judge one Parquet file by every check of FOCUS 1.2; returns the XML.

    The program ends with 0 also where checks fail, so what counts is that it wrote the XML anew.
    """
    work = folder / "work"  # it writes its log to where it runs
    work.mkdir(exist_ok=True)
    _link(folder / "venv", work)
    report = data.with_suffix(".xml")
    report.unlink(missing_ok=True)
    command: list[str | Path] = [_program(folder / "venv"), "--block-download", "--data-file", data]
    command += ["--validate-version", "1.2", "--applicability-criteria", "ALL"]
    command += ["--output-type", "unittest", "--output-destination", report]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=SECONDS)
    if done.returncode or not report.exists():
        last = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise RuntimeError(f"focus-validator did not judge {data.name}:\n{last}")
    return report.read_text(encoding="utf-8")


def _link(environment: Path, work: Path) -> None:
    """It reads its list of currencies relative to the working directory."""
    (package,) = environment.glob("lib/python3*/site-packages/focus_validator")
    link = work / "focus_validator"
    link.unlink(missing_ok=True)
    link.symlink_to(package)


def _program(environment: Path) -> Path:
    return environment / "bin" / "focus-validator"
