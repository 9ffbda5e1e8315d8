"""The elements of an array inside one JSON document, each by its exact place in the text.

One wrong element does not spoil its neighbours: digits are not read, and what is nested too deeply for the
decoder is taken by its brackets alone, for the reader to refuse.
"""

import json
import re
from collections.abc import Callable
from typing import TypeVar

Item = TypeVar("Item")
Spans = list[tuple[int, int]]
SPACES = re.compile(r"[ \t\r\n]*")
# a bracket, a string, or the beginning of a string without end
MARK = re.compile(r'[{}\[\]]|"(?:[^"\\]++|\\.)*+"|"', re.DOTALL)
# digits do not matter here, and thousands of them would be refused as an integer
DECODER = json.JSONDecoder(parse_int=str, parse_float=str)


class RepeatedKey(ValueError):
    """The object names a key twice."""


def spans(text: str, key: str) -> Spans:
    """Where the elements of {"key": [ … ]} begin and end; ValueError unless the whole text is one JSON
    object with this array."""
    start = _skip(text, 0)
    try:
        members, end = _sequence(text, start, "{}", lambda text, at: _member(text, at, key))
    except IndexError as error:
        raise ValueError("the text ends too early") from error
    if len({name for name, _ in members}) < len(members):
        raise RepeatedKey(key)
    found = dict(members).get(key)
    if found is None or _skip(text, end) < len(text):
        raise ValueError(f"not one object with an array {key}")
    return found


def _sequence(
    text: str, position: int, brackets: str, item: Callable[[str, int], tuple[Item, int]]
) -> tuple[list[Item], int]:
    """What stands between two brackets, separated by commas; and where it ends."""
    items: list[Item] = []
    position = _expect(text, position, brackets[0])
    while text[position] != brackets[1]:
        if items:
            position = _expect(text, position, ",")
        one, end = item(text, position)
        items.append(one)
        position = _skip(text, end)
    return items, position + 1


def _member(text: str, position: int, key: str) -> tuple[tuple[str, Spans | None], int]:
    """Name of a member, and the spans of its elements where it is the array under `key`."""
    if text[position] != '"':
        raise ValueError("a key is a string")
    name, end = DECODER.raw_decode(text, position)
    value = _expect(text, _skip(text, end), ":")
    if name != key or text[value] != "[":
        return (name, None), _end(text, value)
    elements, end = _sequence(text, value, "[]", _element)
    return (name, elements), end


def _element(text: str, position: int) -> tuple[tuple[int, int], int]:
    end = _end(text, position)
    return (position, end), end


def _end(text: str, position: int) -> int:
    """Behind a JSON value. One that is nested too deeply for the decoder is taken by its brackets alone."""
    try:
        return DECODER.raw_decode(text, position)[1]
    except RecursionError:
        level = 0
        for mark in MARK.finditer(text, position):
            level += {"{": 1, "[": 1, "}": -1, "]": -1}.get(mark[0], 0)
            if level == 0 or mark[0] == '"':
                break
        if level or mark[0] == '"':
            raise ValueError("a string or a bracket without its end") from None
        return mark.end()


def _expect(text: str, position: int, mark: str) -> int:
    if text[position] != mark:
        raise ValueError(f"no {mark}")
    return _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    return SPACES.match(text, position).end()  # type: ignore[union-attr]
