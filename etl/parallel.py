"""Chunks of work on several engines at once, with their results in the order of the chunks."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
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
    """Work on as many chunks at once as there are engines; what came of them in their order.

    The next chunk is made, and the last result is used, while the engines work.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(len(engines)) as pool, closing(ahead(chunks)) as ready:
        for engine, chunk in zip(cycle(engines), ready, strict=False):
            # the engine is free: what it did last is the oldest that waits
            done = [waiting.popleft().result()] if len(waiting) == len(engines) else []
            waiting.append(pool.submit(work, engine, chunk))
            yield from done
        for one in waiting:
            yield one.result()


def ahead(chunks: Iterable[Chunk]) -> Generator[Chunk]:
    """The chunks, each made while the one before it is in use."""
    end = object()
    more = iter(chunks)
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, more, end)
        while (chunk := following.result()) is not end:
            following = pool.submit(next, more, end)
            yield chunk  # type: ignore[misc]
