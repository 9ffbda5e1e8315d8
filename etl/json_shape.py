"""Which of many JSON records must be looked at one by one: found for a whole column at once.

Of all records with the same keys and brackets in the same order one is looked at, and what is found holds for
all of them; so producers whose records look alike pay next to nothing. See etl/json_text.py for what is sought.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl import json_text

PIECE_BYTES = 1 << 18  # stays in the cache of a core
MAX_KEYS = 1 << 14  # of a record that is known by its shape
WORD = 8
HALF = json_text.LONG // 2
PADDING = b"\0" * (json_text.LONG + WORD)
IN_NUMBER = np.array([byte in b"0123456789.eE+-" for byte in range(256)])
BEFORE_NUMBER = np.array([byte in b":[, \t\r\n" for byte in range(256)])
SPACE = np.array([byte in b" \t\r\n" for byte in range(256)])
MASKS = np.array([(1 << 8 * n) - 1 for n in range(WORD + 1)], np.uint64)
MIX, SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)
POWERS = np.array([pow(0xD1342543DE82EF95, n, 1 << 64) for n in range(MAX_KEYS + 1)], np.uint64)
Rows = np.ndarray


def judged(table: pa.Table) -> pa.Table:
    """Records of readers.SCHEMA: `line` exact, or null with a reader_reason."""
    line = table["line"].combine_chunks()
    changed = dict(_changed(line))
    if not changed:
        return table
    mask = np.zeros(len(line), bool)
    mask[list(changed)] = True
    for at, name in enumerate(("line", "reader_reason")):
        values = pa.array([found[at] for found in changed.values()], pa.string())
        new = pc.replace_with_mask(table[name].combine_chunks(), pa.array(mask), values)
        table = table.set_column(table.schema.get_field_index(name), name, new)
    return table


def _changed(line: pa.StringArray) -> Iterator[tuple[int, tuple[str | None, str | None]]]:
    """Number of each record that does not stand as it is, in order: its new text, its reason."""
    for n in _doubtful(line):
        record = line[n].as_buffer().to_pybytes()
        if reason := json_text.fault(record):
            yield n, (None, reason)
        elif (exact := json_text.exact(record)) != record:
            yield n, (exact.decode(), None)


def _doubtful(line: pa.StringArray) -> list[int]:
    offsets = np.frombuffer(line.buffers()[1], np.int32)
    ends = offsets[line.offset : line.offset + len(line) + 1].astype(np.int64)
    found, first = [], 0
    while first < len(line):
        last = int(np.searchsorted(ends, ends[first] + PIECE_BYTES, "right")) - 1
        last = max(last, first + 1)
        start, size = int(ends[first]), int(ends[last] - ends[first])
        if size:
            data = line.buffers()[2].slice(start, size).to_pybytes()
            piece = ends[first : last + 1] - start
            found.append(_long_numbers(data, piece) + first)
            found.append(_odd_shapes(data, piece) + first)
        first = last
    return np.unique(np.concatenate(found)).tolist() if found else []


def _long_numbers(data: bytes, ends: np.ndarray) -> Rows:
    """Records with a number of LONG characters, or with a negative exponent of three digits."""
    letters = np.frombuffer(data + PADDING, np.uint8)
    coarse = IN_NUMBER[letters[::HALF]]  # a long number has two of these, and all between
    at = np.flatnonzero(coarse[:-1] & coarse[1:]) * HALF
    for n in range(1, HALF):
        at = at[IN_NUMBER[letters[at + n]]]
    for _ in range(HALF):
        at = at - IN_NUMBER[letters[at - 1]]
    at = at[BEFORE_NUMBER[letters[at - 1]]]
    for n in range(HALF, json_text.LONG):
        at = at[IN_NUMBER[letters[at + n]]]
    minus = np.flatnonzero(((letters[:-1] | 0x20) == ord("e")) & (letters[1:] == ord("-"))) + 1
    for n in (1, 2, 3):
        minus = minus[letters[minus + n] - ord("0") < 10]
    at = np.concatenate((at, minus))
    return np.searchsorted(ends, at, "right") - 1


def _odd_shapes(data: bytes, ends: np.ndarray) -> Rows:
    """Records of a shape that has a fault, or that are too large to be known by their shape."""
    quote, bracket = _marks(data, ends)
    letters = np.frombuffer(data + PADDING, np.uint8)
    closing = quote[1::2]
    after = closing + 1
    while len(space := np.flatnonzero(SPACE[letters[after]])):
        after[space] += 1
    key = np.flatnonzero(letters[after] == ord(":"))
    begin, end = quote[0::2][key] + 1, closing[key]
    keys, brackets = np.searchsorted(end, ends), np.searchsorted(bracket, ends)
    seen = np.searchsorted(end, bracket) - np.repeat(keys[:-1], np.diff(brackets))
    value = (letters[bracket] + seen.astype(np.uint64)) * MIX
    shape = _sums(_hashes(letters, begin, end - begin), keys) + _sums(value, brackets) * MIX
    _, example, which = np.unique(shape, return_index=True, return_inverse=True)
    faulty = [json_text.fault(data[ends[n] : ends[n + 1]]) is not None for n in example]
    huge = (np.diff(keys) > MAX_KEYS) | (np.diff(brackets) > MAX_KEYS)
    return np.flatnonzero(np.array(faulty)[which] | huge)


def _marks(data: bytes, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the quotes of strings, and of the brackets outside of strings."""
    letters = np.frombuffer(json_text.without_escapes(data), np.uint8)
    quote = np.flatnonzero(letters == ord('"'))
    odd = np.flatnonzero(np.diff(np.searchsorted(quote, ends)) & 1)
    if len(odd):  # no JSON: as if nothing stood there
        letters = letters.copy()
        for n in odd:
            letters[ends[n] : ends[n + 1]] = 0
        quote = np.flatnonzero(letters == ord('"'))
    upper = letters | 0x20  # [ and ] are { and } then
    bracket = np.flatnonzero((upper == ord("{")) | (upper == ord("}")))
    return quote, bracket[np.searchsorted(quote, bracket) & 1 == 0]


def _sums(value: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Of each record the sum of its values, each weighted by its place in the record."""
    nth = np.arange(len(value)) - np.repeat(bounds[:-1], np.diff(bounds))
    total = np.zeros(len(value) + 1, np.uint64)
    np.cumsum(value * POWERS[np.minimum(nth, MAX_KEYS)], out=total[1:])
    return np.diff(total[bounds])


def _hashes(letters: np.ndarray, begin: np.ndarray, size: np.ndarray) -> np.ndarray:
    """64 bits of each piece of text, from all its bytes."""
    words = np.ndarray((len(letters) - WORD + 1,), "<u8", letters, strides=(1,))
    found = ((words[begin] & MASKS[np.minimum(size, WORD)]) + size.astype(np.uint64)) * MIX
    start, more = WORD, np.flatnonzero(size > WORD)
    while len(more):
        word = words[begin[more] + start] & MASKS[np.minimum(size[more] - start, WORD)]
        mixed = ((found[more] ^ (found[more] >> SHIFT)) + word) * MIX
        found[more] = mixed
        start, more = start + WORD, more[size[more] > start + WORD]
    return found ^ (found >> SHIFT)
