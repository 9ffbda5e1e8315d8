"""What the validator's XML says, held against conformance/allowed.csv: patterns of bills, a check, the reason.

Composites fail where a check below them fails: they are excused with it, and count alone only where nothing
below them does. A pattern that excuses nothing any more is a failure too.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from xml.etree import ElementTree

ALLOWED = Path(__file__).parent / "allowed.csv"
COMPOSITE = "Composite"


@dataclass(frozen=True)
class Failure:
    """One failed test case, such as InvoiceId-C-004-C, and what kind of check it is."""

    check: str
    kind: str
    says: str

    @property
    def column(self) -> str:
        return self.check.split("-")[0]


@dataclass(frozen=True)
class Allowed:
    """A check that may fail on bills whose names match the pattern."""

    bills: str
    check: str
    reason: str

    def excuses(self, bill: str, failure: Failure) -> bool:
        return failure.check == self.check and self.names(bill)

    def names(self, bill: str) -> bool:
        return fnmatchcase(bill, self.bills)


@dataclass(frozen=True)
class Outcome:
    """Test cases of one run: how many there were, were skipped, and failed."""

    checks: int
    skipped: int
    failures: tuple[Failure, ...]


def parse(xml: str) -> Outcome:
    cases = list(ElementTree.fromstring(xml).iter("testcase"))
    failures = []
    for case in cases:
        for found in (*case.findall("failure"), *case.findall("error")):
            check, _, kind = case.attrib["name"].partition(" :: ")
            failures.append(Failure(check, kind, found.attrib.get("message", "")))
    skipped = sum(case.find("skipped") is not None for case in cases)
    return Outcome(len(cases), skipped, tuple(failures))


def allowed(path: Path = ALLOWED) -> list[Allowed]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    for row in rows:
        if not all(row[name] for name in ("bills", "check", "reason")):
            raise ValueError(f"{path.name}: {row['check']}: bills, check and reason are all needed")
    return [
        Allowed(pattern, row["check"], row["reason"])
        for row in rows
        for pattern in row["bills"].split()
    ]


def left(bill: str, failures: Iterable[Failure], listed: list[Allowed]) -> list[Failure]:
    """Failures that nothing excuses."""
    known = list(failures)
    leaves = [one for one in known if one.kind != COMPOSITE]
    below = {one.column for one in leaves}
    bare = [one for one in leaves if not any(line.excuses(bill, one) for line in listed)]
    alone = [
        one
        for one in known
        if one.kind == COMPOSITE
        and one.column not in below
        and not (leaves and one.check.split("-")[1] == "D")  # of the whole data set
    ]
    return bare + alone


def stale(failures: dict[str, tuple[Failure, ...]], listed: list[Allowed]) -> list[Allowed]:
    """Patterns that name a bill that was validated, and excuse nothing in any."""
    return [
        line
        for line in listed
        if any(line.names(bill) for bill in failures)
        and not any(line.excuses(bill, one) for bill, found in failures.items() for one in found)
    ]
