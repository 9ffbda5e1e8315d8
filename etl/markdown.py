"""Words of a Markdown page: a list of names, and a table."""

from collections.abc import Iterable


def names(names: Iterable[str]) -> str:
    """Names as code, divided by commas."""
    return ", ".join(f"`{name}`" for name in names) or "none"


def grid(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table; a pipe within a cell is escaped."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(words: str) -> str:
    return " ".join(words.split()).replace("|", "\\|")
