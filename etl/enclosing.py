"""What a field holds of another: whether personal data comes along in an object or array, or in a group of a pattern,
that a SELECT may see."""

import re
from collections.abc import Iterable
from typing import Protocol

# of a pattern: what is no bracket of a group, a bracket that opens one, another one, one that closes either
TOKEN = re.compile(
    r"(?P<other>\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?[aiLmsux]+\))"
    r"|(?P<open>\(\?P<|\((?!\?))|(?P<plain>\()|(?P<close>\))",
    re.DOTALL,
)
STEP = re.compile(r'\.(?:"([^"]*)"|([\w-]+))|\[(\d+)\]')


class Field(Protocol):
    """A property of a contract, whose path is one of JSON."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def privacy(self) -> str: ...
    @property
    def structured(self) -> bool: ...


def problem(fields: Iterable[Field], pattern: str | None = None) -> str | None:
    """Why a field of class none would show one of another class; with a pattern, fields are groups of it."""
    return _of_paths(list(fields)) if pattern is None else _of_groups(list(fields), pattern)


def _of_paths(known: list[Field]) -> str | None:
    for shown in (one for one in known if one.privacy == "none"):
        for kept in (one for one in known if one.privacy != "none"):
            inner, outer = _steps(kept.path), _steps(shown.path)
            if inner == outer or (shown.structured and inner[: len(outer)] == outer):
                return (
                    f"schema property {shown.name}: its classification is none, and {shown.path} holds "
                    f"{kept.path}, which property {kept.name} classes {kept.privacy}: name the fields "
                    "of it that the SELECT needs, one property each"
                )
    return None


def _of_groups(known: list[Field], pattern: str) -> str | None:
    around = _around(pattern)
    if around is None:
        return "usage.reader.pattern: brackets cannot be told apart: write it without comments and flags"
    for shown in (one for one in known if one.privacy == "none"):
        for kept in (one for one in known if one.privacy != "none"):
            if shown.path == kept.path or int(shown.path) in around[int(kept.path)]:
                return (
                    f"schema property {shown.name}: its classification is none, and group {shown.path} holds group "
                    f"{kept.path}, which property {kept.name} classes {kept.privacy}: end it before that group"
                )
    return None


def _around(pattern: str) -> dict[int, set[int]] | None:
    """The groups around each group. Nothing looks ahead or behind: the engine knows no such pattern."""
    opened: list[int] = []
    around: dict[int, set[int]] = {}
    for token in TOKEN.finditer(pattern):
        if token["open"]:
            number = len(around) + 1
            around[number] = set(opened)
            opened.append(number)
        elif token["plain"]:
            opened.append(0)
        elif token["close"] and opened:
            opened.pop()
    return around if not opened and len(around) == re.compile(pattern).groups else None


def _steps(path: str) -> list[tuple[str, ...]]:
    """Equal for paths that mean the same: `$.a` and `$."a"`."""
    return [(quoted or plain, number) for quoted, plain, number in STEP.findall(path)]
