"""What a version of a contract breaks of what the version before it read, and what is to be done about it."""

from pathlib import Path

from etl import contract as contracts
from etl.contract import Contract
from etl.errors import ContractError


def changes(folder: Path, active: Contract) -> list[str]:
    """What the active version breaks of the one before it that lies beside it, each with what it means.

    Raises ContractError with the first of them unless its major version says that this is meant.
    """
    before = _before(folder, active)
    found = _found(before, active) if before else []
    if before and found and _numbers(before.version)[0] == _numbers(active.version)[0]:
        raise ContractError(
            f"{active.stream}/{active.version}.yaml: {found[0]}; where that is meant, raise the major version"
        )
    return found


def _found(old: Contract, new: Contract) -> list[str]:
    found = []
    if _identity(old) != _identity(new):
        found.append(
            f"usage.identity is another than in version {old.version}, which is breaking: a record that was read "
            "before and is delivered again is no repeat of itself any more and counts twice, and a void or an "
            "adjust finds no target that was read before; so replay all landed dates that still lie in landing "
            "once this version is active, or keep the identity"
        )
    if not _reads(new, old.discovery.path):
        found.append(
            f"usage.discovery.path is another than in version {old.version}, which is breaking: objects under "
            "the old path are not found any more, and landed dates that hold some cannot be read again; so let a "
            "contract of another name read the new path, or move what landed"
        )
    return found


def _reads(new: Contract, old_path: str) -> bool:
    """Whether what lies under a path is still found, judged by one key of it."""
    key = old_path
    for part, text in (("{yyyy}", "2026"), ("{MM}", "11"), ("{dd}", "18"), ("*", "x-1")):
        key = key.replace(part, text)
    match = new.discovery.regex.fullmatch(key)
    told = match.groupdict() if match else None
    return told == ({"yyyy": "2026", "MM": "11", "dd": "18"} if "{dd}" in old_path else {})


def _identity(contract: Contract) -> tuple:
    """What makes the key of a record: its scope, and the columns by what they are read from."""
    by_name = contract.reader.pattern is not None  # a group's number says nothing across patterns
    known = {one.name: one for one in contract.properties}
    columns = [known[name] for name in contract.identity.columns]
    return (
        contract.identity.scope,
        *((one.name if by_name else one.path, one.privacy) for one in columns),
    )


def _before(folder: Path, active: Contract) -> Contract | None:
    """The highest version below the active one."""
    versions = [contracts.parse(path) for path in (folder / active.stream).glob("*.yaml")]
    older = [one for one in versions if _numbers(one.version) < _numbers(active.version)]
    return max(older, key=lambda one: _numbers(one.version), default=None)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in version.split("."))
