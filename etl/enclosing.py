"""What a field holds of another: whether personal data comes along in an object or array that a SELECT may see."""

import re
from collections.abc import Iterable
from typing import Protocol

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


def problem(fields: Iterable[Field]) -> str | None:
    """Why a field of class none would show one of another class."""
    known = list(fields)
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


def _steps(path: str) -> list[tuple[str, ...]]:
    """Equal for paths that mean the same: `$.a` and `$."a"`."""
    return [(quoted or plain, number) for quoted, plain, number in STEP.findall(path)]
