"""make bench: the library beside plain DuckDB, dlt and pandas over the same generated events, in one run.

Prints Markdown: one table of the contenders, one of the library's stages, and what a late file costs. All
folders lie below --folder and are kept, so that a second run generates nothing.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import bill, generate, measure, store
from bench.measure import Cost
from bench.store import Bench

DLT = "dlt[duckdb]==1.31.0"


@dataclass(frozen=True)
class Row:
    """One contender: what it read and what that cost."""

    name: str
    events: int
    runs: int
    cost: Cost


def main() -> None:
    options = _options()
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if options.bills:
        bill.main(options.bills, options.repeat, folder)
        return
    made = folder / f"events-{options.events}"
    days = measure.apart(generate.generate, made, options.days, options.events)
    with (
        TemporaryDirectory(dir=folder) as scratch,
        store.running(made, Path(scratch) / "store") as bench,
    ):
        _say(f"{options.days} x {options.events} events, {bench.land(days) / 1e6:.0f} MB gzip")
        _say(f"machine: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
        _contenders(bench, days, options, Path(scratch))
        _late(bench, days[0])
        _say(f"load {os.getloadavg()[0]:.1f} at the end")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=5_000_000, help="a day")
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--others", type=int, default=5, help="objects for dlt and pandas, 0: neither"
    )
    parser.add_argument("--bills", type=int, default=0, help="lines of a bill; then only that")
    parser.add_argument("--folder", type=Path, default=Path(".run/bench"))
    return parser.parse_args()


def _contenders(bench: Bench, days: list[date], options: argparse.Namespace, scratch: Path) -> None:
    """Each in turn within one repetition, so that a busy minute falls on all alike."""
    events, costs = options.days * options.events, defaultdict(list)
    for n in range(options.repeat):
        costs["ceiling"].append(_ceiling(bench, scratch / "ceiling"))
        costs["library"].append(_library(bench, days, f"lake-{n}"))
        _say(
            f"repetition {n + 1}: " + ", ".join(f"{k} {v[-1].wall:.1f} s" for k, v in costs.items())
        )
        _exact(bench, days, f"lake-{n}")
    rows = [
        Row("plain DuckDB, no law kept", events, options.repeat, measure.typical(costs["ceiling"])),
        Row("usage-export, S3 included", events, options.repeat, measure.typical(costs["library"])),
    ]
    if options.others:
        files = generate.objects(bench.folder, days[0])[: options.others]
        some = min(options.events, len(files) * generate.OBJECT_LINES)
        rows.append(Row("pandas", some, 1, _pandas(files, scratch / "pandas")))
        rows.append(
            Row("dlt merge into DuckDB", some, 1, _dlt(files, scratch / "dlt", options.folder))
        )
    _print_contenders(rows)
    _print_stages(costs["library"], events)


def _ceiling(bench: Bench, target: Path) -> Cost:
    shutil.rmtree(target, ignore_errors=True)
    return measure.run([sys.executable, "-m", "bench.ceiling", bench.folder, target])


def _library(bench: Bench, days: list[date], lake: str) -> Cost:
    command = [sys.executable, "-m", "bench.library", *map(str, days)]
    return measure.run(command, bench.environment(lake))


def _pandas(files: list[Path], target: Path) -> Cost:
    return measure.run([sys.executable, "-m", "bench.pandas_sample", target, *files])


def _dlt(files: list[Path], target: Path, folder: Path) -> Cost:
    """In an environment of its own, made once: its DuckDB is not ours."""
    python, uv = folder / "dlt" / "bin" / "python", Path(sys.executable).parent / "uv"
    if not python.exists():
        subprocess.run([uv, "venv", "-q", folder / "dlt"], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", python, DLT], check=True)
    return measure.run([python, Path(__file__).parent / "dlt_merge.py", target, *files])


def _exact(bench: Bench, days: list[date], lake: str) -> None:
    """A benchmark of wrong numbers is none: every day must come to what was generated."""
    published = bench.release(lake)["tables"]["usage_daily"]
    for day in days:
        (entry,) = (one for name, one in published.items() if f"usage_date={day}" in name)
        meters = generate.truth(bench.folder, day)["meters"]
        assert entry["totals"] == {name: one["quantity"] for name, one in meters.items()}, day


def _late(bench: Bench, day: date) -> None:
    """A late file of 1,000 records: what its rebuild costs beside the first build, and what it touches."""
    before, landed = bench.release("lake-0")["tables"], day + timedelta(days=1)
    late = generate.late(bench.folder, day)
    bench.put(late, bench.folder / "late", landed)
    first = _seconds(_library(bench, [day], "lake-late"), _is_build)
    again = _seconds(_library(bench, [landed], "lake-late"), _is_build)
    after = bench.release("lake-late")["tables"]
    dates = {name for name in after["usage_daily"] if after["usage_daily"][name]}
    _say(
        f"late file of 1,000: first build {first:.1f} s, rebuild {again:.1f} s ({again / first:.2f} x); "
        f"daily partitions {sorted(dates)}, of another run before: {len(before['usage_daily'])}"
    )


def _is_build(stage: str) -> bool:
    return stage in ("deduplicate", "aggregate", "validate", "publish")


def _seconds(cost: Cost, wanted: Callable[[str], bool]) -> float:
    return sum(one["wall"] for one in _stages(cost) if wanted(one["stage"]))


def _stages(cost: Cost) -> list[dict]:
    return [json.loads(line) for line in cost.output.splitlines() if line.startswith("{")]


def _print_contenders(rows: list[Row]) -> None:
    floor = rows[0].cost.wall / rows[0].events
    _say("| what | events | runs | wall s | CPU s | peak MB | events/s | x plain DuckDB |")
    _say("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for one in rows:
        pace = one.cost.wall / one.events
        _say(
            f"| {one.name} | {one.events:,} | {one.runs} | {one.cost.wall:.1f} | {one.cost.cpu:.1f} "
            f"| {one.cost.peak_mb:.0f} | {1 / pace:,.0f} | {pace / floor:.1f} |"
        )


def _print_stages(costs: list[Cost], events: int) -> None:
    """Stages of the run with the median wall time."""
    middle = sorted(costs, key=lambda one: one.wall)[len(costs) // 2]
    found: dict[str, dict] = {}
    for row in _stages(middle):
        total = found.setdefault(
            row["stage"], dict.fromkeys(("wall", "cpu", "requests", "bytes"), 0)
        )
        for name in total:
            total[name] += row[name]
    _say("| stage | wall s | CPU s | events/s | S3 requests | S3 MB | MB/s |")
    _say("| --- | --- | --- | --- | --- | --- | --- |")
    for stage, one in found.items():
        megabytes = one["bytes"] / 1e6
        _say(
            f"| {stage} | {one['wall']:.1f} | {one['cpu']:.1f} | {events / one['wall']:,.0f} "
            f"| {one['requests']} | {megabytes:,.0f} | {megabytes / one['wall']:,.0f} |"
        )


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
