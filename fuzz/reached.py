"""Tells the fuzzer which reasons were reached: SQL has no branches that it could see.

Each reason becomes a function of its own, and entering a function for the first time is new coverage.
"""

from functools import cache

import atheris


def reached(reason: str) -> None:
    _mark(reason)()


@cache
def _mark(reason: str):
    namespace: dict = {}
    exec(compile("def mark():\n    return None", f"<{reason}>", "exec"), namespace)
    return atheris.instrument_func(namespace["mark"])
