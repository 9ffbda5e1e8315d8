"""What a JSON reader would decide in silence, decided aloud, for one record: repeated keys, depth, digits.

Of two equal keys one engine takes the first and the next the last, and most read a number as a double. Here
a record with a repeated key or too many levels has a fault, and a number that a double would change becomes
text. Nothing here recurses, and nothing asks whether the record is JSON: the engine does.
"""

import json
import re

MAX_DEPTH = 200  # levels of objects and arrays
LONG = 16  # characters of a number that a double may not hold
SPACES = rb" \t\r\n"
TOKEN = re.compile(rb'"([^"]*)"([' + SPACES + rb"]*:)?|[{}\[\]]")
NUMBER = re.compile(
    rb'"[^"]*"|(?<=[:\[,' + SPACES + rb"])(-?(?:0|[1-9]\d*+)(?:\.\d++)?(?:[eE][+-]?\d++)?)"
    rb"(?![\d.eE+-]|[" + SPACES + rb"]*:)"
)
TINY = re.compile(rb"[eE]-\d{3}")  # a double underflows, or nearly
QUOTE = b'"'


def fault(record: bytes) -> str | None:
    """Why the record must be refused: repeated_key, too_deep."""
    plain = without_escapes(record)
    if plain.count(QUOTE) % 2:
        return None  # no JSON: nobody knows where its strings begin
    levels: list[set[bytes]] = []
    for token in TOKEN.finditer(plain):
        mark = token[0][:1]
        if mark in b"{[":
            levels.append(set())
            if len(levels) > MAX_DEPTH:
                return "too_deep"
        elif mark in b"}]":
            del levels[-1:]
        elif token[2] and levels:
            key = _key(record[token.start(1) : token.end(1)])
            if key in levels[-1]:
                return "repeated_key"
            levels[-1].add(key)
    return None


def exact(record: bytes) -> bytes:
    """The record with each number that a double would change as a string of the same characters."""
    plain = without_escapes(record)
    if plain.count(QUOTE) % 2:
        return record
    parts, done = [], 0
    for found in NUMBER.finditer(plain):
        if found[1] and (len(found[1]) >= LONG or TINY.search(found[1])):
            parts += [record[done : found.start()], QUOTE, found[1], QUOTE]
            done = found.end()
    return b"".join([*parts, record[done:]])


def without_escapes(text: bytes) -> bytes:
    """Of the same length; each quote that is left begins or ends a string."""
    return text.replace(b"\\\\", b"..").replace(b'\\"', b"..") if b"\\" in text else text


def _key(written: bytes) -> bytes:
    """As a reader knows it: a key may be written with escapes."""
    if b"\\" not in written:
        return written
    try:
        return json.loads(QUOTE + written + QUOTE).encode("utf-8", "surrogatepass")
    except ValueError:
        return written
