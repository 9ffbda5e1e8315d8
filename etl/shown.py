"""Text of producers where people read it: what would steer a terminal or a page stands as its escape.

Tables, JSON and CSV hold every value as it came; this is for messages, the statement as text and lists of keys.
"""

import os
import select
import sys

LENGTH = 200


def value(text: str) -> str:
    """One value on one line: no control character, escape sequence, line end or mark that turns the direction."""
    whole = text if text.isprintable() else "".join(map(_printable, text))
    return whole if len(whole) <= LENGTH else f"{whole[:LENGTH]}…"


def lines(text: str) -> str:
    """The same for a message of several lines."""
    return "\n".join(
        line if line.isprintable() else "".join(map(_printable, line)) for line in text.split("\n")
    )


def count(number: int) -> str:
    return f"{number:,}"


def many(number: int, one: str) -> str:
    """A number of things, in English."""
    return f"{count(number)} {one}{'' if number == 1 else 's'}"


def outcome(done: dict) -> str:
    """What became of a run on one line, without what is empty."""
    return ", ".join(
        f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in done.items()
        if not isinstance(value, dict) and value != []
    )


def _printable(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def end_unheard(error: BrokenPipeError) -> None:
    """The reader of `usage-export … | head` has seen enough: no more is printed. Of another pipe it is an error."""
    told = select.poll()
    told.register(sys.stdout, 0)
    if not told.poll(0):
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
