"""Days and months as options of the command: the answer to a wrong one says which form is asked for."""

from argparse import ArgumentTypeError
from datetime import date

FIRST, LAST = date(1970, 1, 1), date(2999, 12, 31)  # around it weeks can be counted


def day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or str(found) != text or not FIRST <= found <= LAST:
        raise ArgumentTypeError(f"{text} is no day: write a day of the calendar as YYYY-MM-DD")
    return found


def month(text: str) -> str:
    year, dash, number = text.partition("-")
    if not (dash and len(year) == 4 and year.isdecimal() and number in MONTHS):
        raise ArgumentTypeError(f"{text} is no month: write YYYY-MM")
    return text


MONTHS = {f"{n:02d}" for n in range(1, 13)}
