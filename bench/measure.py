"""What one command costs as a whole: wall and CPU seconds, the memory of its largest process, what it printed."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """Seconds, and peak resident megabytes of any of its processes."""

    wall: float
    cpu: float
    peak_mb: float
    output: str = ""


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Cost:
    """Run to the end; raises RuntimeError with what it said where it fails."""
    with tempfile.TemporaryFile("w+") as said:
        start = time.perf_counter()
        child = subprocess.Popen(command, env=environment, stdout=said, stderr=sys.stderr)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        output = said.read()
    if child.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {child.returncode}: {output}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, output)


def apart(function: Callable[..., Result], *arguments: object) -> Result:
    """What it returns, from a process of its own: a child begins with the peak of what starts it."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def typical(costs: Sequence[Cost]) -> Cost:
    """Medians of the seconds; of the memory the largest."""
    return Cost(
        median(one.wall for one in costs),
        median(one.cpu for one in costs),
        max(one.peak_mb for one in costs),
        costs[-1].output,
    )
