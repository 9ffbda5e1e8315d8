"""What a billing contract drops, by name: who made a resource must not come back through another column or tag.

A dropped property hides its own column and, by the last part of its name (`createdBy` of `resourceTags/aws:createdBy`),
every column that the contract does not name, every column that is gathered beside it and every key of the object that
it lies in (`resource_tags.createdBy`). Case and marks between letters do not count.
"""

import re
from collections.abc import Iterable

from etl.billing.contract import BillingContract, plain
from etl.contract import Property

SHORT = 4  # letters by which nobody is told: then the whole name is compared


def anywhere(contract: BillingContract) -> str | None:
    """Regular expression of names that may not be kept where no property names them."""
    return _pattern(_paths(contract))


def within(contract: BillingContract, one: Property) -> str | None:
    """Regular expression of the keys that may not be kept of an object, or of columns that are gathered."""
    heads = [
        plain(alias.removesuffix("*")) + ("" if alias.endswith("*") else ".")
        for alias in one.path.split("|")
    ]
    return _pattern(path for path in _paths(contract) if plain(path).startswith(tuple(heads)))


def _paths(contract: BillingContract) -> list[str]:
    dropped = (one.path for one in contract.properties if one.privacy == "drop")
    return [alias for path in dropped for alias in path.split("|")]


def _pattern(paths: Iterable[str]) -> str | None:
    words = sorted({_word(path) for path in paths} - {""})
    return "(?i)" + "|".join("[^a-z0-9]*".join(word) for word in words) if words else None


def _word(path: str) -> str:
    last = _letters(re.split(r"[/.:]", path)[-1])
    return last if len(last) > SHORT else _letters(path)


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
