"""A landed date is made whole or not at all: of what was read of it, nothing may have left landing since."""

from collections.abc import Collection
from datetime import date

from etl import unread
from etl.contract import Contract
from etl.discovery import Listing, key_date
from etl.errors import SourceError
from etl.shown import many
from etl.store import Store
from etl.unread import Unread

Covered = dict[date, dict[str, str]]  # landed date -> key -> ETag; "" is that of no version


def withheld(
    landing: Store,
    contract: Contract,
    found: Listing,
    new: list[str],
    days: set[date],
    covered: Covered,
) -> list[Unread]:
    """What is new on earlier dates that cannot be made whole any more: they hold back no other date."""
    why = {day: _vanished(landing, contract, found.keys(), {day}, covered) for day in days}
    known = ((key, key_date(contract, key)) for key in new)
    return [
        Unread(day, key, found[key][0], unread.WITHHELD, said)
        for key, day in known
        if day and (said := why.get(day))
    ]


def refuse_vanished(
    landing: Store, contract: Contract, there: set[str], due: set[date], covered: Covered
) -> None:
    if said := _vanished(landing, contract, there, due, covered):
        raise SourceError(said)


def _vanished(
    landing: Store, contract: Contract, there: Collection[str], due: set[date], covered: Covered
) -> str | None:
    """Why dates cannot be made whole: without an object that they once held, rows would vanish."""
    gone = sorted(key for day in due for key in covered.get(day, {}) if key not in there)
    other = [key for key in gone if not contract.discovery.regex.fullmatch(key)]
    if other:
        return (
            f"{contract.stream}: {many(len(other), 'object')} read before, not matched by usage.discovery.path of "
            f"version {contract.version} ({contract.discovery.path}), first "
            f"{landing.location.url(other[0])}: the path was changed; give it back and let a contract of another "
            "name read the new one, or leave their landed date as it is published"
        )
    if gone:
        return (
            f"{contract.stream}: {many(len(gone), 'object')} read before, gone from landing, first "
            f"{landing.location.url(gone[0])}: restore them; to take back what was read of one, put an empty object in "
            "its place; or leave their landed date as it is published"
        )
    return None
