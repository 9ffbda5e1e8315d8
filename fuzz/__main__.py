"""make fuzz: each target in turn, for a bounded time; findings are kept and named.

Prints a line a target. Exit 1: a target has a finding. It lies in FINDINGS/<target>/ as libFuzzer names it
(crash-…, timeout-…), beside report.txt with the error; --again FILE shows it once more. What reached new code is
kept beside it too, so that the next run goes on from there.
"""

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from fuzz import TARGETS

UNIT_SECONDS, MEMORY_MB, BYTES = 20, 4096, 8192


@dataclass(frozen=True)
class Found:
    """What became of one target: inputs tried, points of the code they reached, the input that broke it."""

    target: str
    tried: int
    reached: int
    finding: Path | None
    error: str


def main() -> int:
    options = _options()
    if options.again:
        print(_libfuzzer(options.target[0], [str(options.again)]).stdout)
        return 0
    each = max(1, options.seconds // len(options.target))
    done = [_fuzz(name, options.findings / name, each, options.seed) for name in options.target]
    for one in done:
        print(f"{one.target}: {one.tried:,} inputs in {each} s reached {one.reached:,} points")
        if one.finding:
            print(f"  {one.finding}: {one.error}")
    return 1 if any(one.finding for one in done) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=300, help="for all targets together")
    parser.add_argument("--target", action="append", choices=TARGETS, help="default: each")
    parser.add_argument("--findings", type=Path, default=Path(".fuzz"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", type=Path, help="one finding, for one --target")
    options = parser.parse_args()
    options.target = options.target or list(TARGETS)
    return options


def _fuzz(target: str, folder: Path, seconds: int, seed: int) -> Found:
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    bounds = [f"-max_total_time={seconds}", f"-timeout={UNIT_SECONDS}", f"-max_len={BYTES}"]
    names = [f"-artifact_prefix={folder}/", f"-rss_limit_mb={MEMORY_MB}", f"-seed={seed}"]
    done = _libfuzzer(target, [*bounds, *names, str(corpus)])
    found = re.search(r"Test unit written to (.*)", done.stdout)
    if done.returncode and not found:
        raise SystemExit(f"{target} could not be fuzzed:\n{done.stdout[-3000:]}")
    (folder / "report.txt").write_text(done.stdout[-20_000:])
    return Found(target, *_counted(done.stdout), found and Path(found[1]), _error(done.stdout))


def _libfuzzer(target: str, options: list[str]) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "fuzz.one", target, *options]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )


def _counted(log: str) -> tuple[int, int]:
    seen = re.findall(r"^#(\d+)\s.*?cov: (\d+)", log, re.MULTILINE)
    return (int(seen[-1][0]), int(seen[-1][1])) if seen else (0, 0)


def _error(log: str) -> str:
    """The last line of the traceback: type and message."""
    found = re.search(r"Uncaught Python exception: ===\n(.*)", log)
    summary = re.search(r"SUMMARY: (.*)", log)
    return next((one[1] for one in (found, summary) if one), "")


if __name__ == "__main__":
    sys.exit(main())
