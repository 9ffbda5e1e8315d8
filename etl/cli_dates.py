"""Days and months as options of the command: the answer to a wrong one says which form is asked for."""

from argparse import ArgumentTypeError
from datetime import date


def day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if str(found) != text:
        raise ArgumentTypeError(f"{text} is no day: write a day of the calendar as YYYY-MM-DD")
    assert found
    return found


def month(text: str) -> str:
    year, dash, number = text.partition("-")
    if not (dash and len(year) == 4 and year.isdecimal() and number in MONTHS):
        raise ArgumentTypeError(f"{text} is no month: write YYYY-MM")
    return text


MONTHS = {f"{n:02d}" for n in range(1, 13)}
