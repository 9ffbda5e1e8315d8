"""Chunks of work on several engines at once, with their results in the order of the chunks."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from typing import TypeVar

import duckdb

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


def side_by_side(
    engines: list[duckdb.DuckDBPyConnection],
    chunks: Iterable[Chunk],
    work: Callable[[duckdb.DuckDBPyConnection, Chunk], Result],
) -> Iterator[Result]:
    """Work on as many chunks at once as there are engines; what came of them in their order."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(len(engines)) as pool:
        for engine, chunk in zip(cycle(engines), chunks, strict=False):
            # the engine is free: what it did last is the oldest that waits
            if len(waiting) == len(engines):
                yield waiting.popleft().result()
            waiting.append(pool.submit(work, engine, chunk))
        for one in waiting:
            yield one.result()
