"""Records on which a contract's SQL raises, found by halves, so that they are refused and no other is.

DuckDB names no row in what it raises: only trying a record alone tells. Objects are told apart always; within one
object only ATTEMPTS times, because a try costs milliseconds: where thousands of its records raise, what was not
tried alone is refused with what lies beside it.
"""

from collections import deque
from collections.abc import Callable

import duckdb
import numpy as np
import pyarrow as pa

REASON = "mapping_failed"
ATTEMPTS = 500


def marked(chunk: pa.Table, attempt: Callable[[pa.Table], object]) -> pa.Table:
    """The chunk, where records on which `attempt` raises carry the reason; records of an object lie together."""
    reasons = chunk["reader_reason"].to_pylist()
    for low, high in _spans(chunk, attempt):
        reasons[low:high] = [one or REASON for one in reasons[low:high]]
    column = chunk.schema.get_field_index("reader_reason")
    return chunk.set_column(column, "reader_reason", pa.array(reasons, pa.string()))


def _spans(chunk: pa.Table, attempt: Callable[[pa.Table], object]) -> list[tuple[int, int]]:
    """Breadth first, so that all spans are small by the time that attempts run out."""
    objects = chunk["object_id"].to_numpy()
    waiting, found, tried = deque([(0, len(objects))]), [], 0
    while waiting:
        low, high = waiting.popleft()
        tried += 1
        if not raises(attempt, chunk.slice(low, high - low)):
            continue
        middle = _middle(objects, low, high)
        if middle == low or (objects[low] == objects[high - 1] and tried > ATTEMPTS):
            found.append((low, high))
        else:
            waiting += [(low, middle), (middle, high)]
    return found


def _middle(objects: np.ndarray, low: int, high: int) -> int:
    """The border of objects nearest below the middle, or next above it; in one object the middle itself."""
    middle = (low + high) // 2
    for side in ("left", "right"):
        border = int(np.searchsorted(objects, objects[middle], side))
        if low < border < high:
            return border
    return middle


def raises(attempt: Callable[[pa.Table], object], records: pa.Table) -> bool:
    try:
        attempt(records)
    except duckdb.OperationalError:
        raise  # memory or disk, not the records
    except duckdb.Error:
        return True
    return False
