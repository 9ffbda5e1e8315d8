"""One export that takes over from another: whose months it may replace, and which of its own are replaced.

A contract names the one before it (`billing.succeeds`). With that one go the part that complements it, and what it
took over itself. Nothing here is remembered: who holds a month is what a release says.
"""

from pathlib import Path

from etl import layout
from etl.billing import contract as billing_contract
from etl.billing.contract import BillingContract
from etl.billing.tables import CHARGE_DAILY
from etl.errors import ContractError
from etl.release import Release


def predecessors(contracts: Path, contract: BillingContract) -> list[str]:
    """Streams whose months a contract takes over."""
    found: list[str] = []
    open_ones = [contract.succeeds]
    while open_ones:
        stream = open_ones.pop()
        if stream is None or stream in (contract.stream, *found):
            continue
        found.append(stream)
        # its contract may be gone, or wrong: its months are not
        for old in billing_contract.readable(contracts, [stream]).values():
            open_ones += [old.complements, old.succeeds]
    return found


def taken_over(contracts: Path, contract: BillingContract, base: Release) -> dict[str, str]:
    """Months that a successor of a contract holds, and which one."""
    months: dict[str, list[str]] = {}
    for name in base.partitions(CHARGE_DAILY.name, provider=contract.provider):
        values = layout.partition_values(name)
        months.setdefault(values["stream"], []).append(values["billing_period"])
    others = billing_contract.readable(contracts, months.keys() - {contract.stream})
    return {
        period: stream
        for stream, other in sorted(others.items())
        if contract.stream in predecessors(contracts, other)
        for period in months[stream]
    }


def refuse_wrong(contracts: Path, contract: BillingContract) -> None:
    """ContractError where a contract cannot take over from the one that it names."""
    if contract.succeeds is None:
        return
    if why := _wrong(contracts, contract, contract.succeeds):
        raise ContractError(
            f"{contract.stream}/{contract.version}.yaml: billing.succeeds: {contract.succeeds} {why}"
        )


def _wrong(contracts: Path, contract: BillingContract, stream: str) -> str | None:
    if stream == contract.stream:
        return "is this contract itself"
    if stream not in (known := billing_contract.streams(contracts)):
        return (
            f"is no billing contract: known are {', '.join(known)}; where all its months went over, remove the key, "
            "else put its contract back until they did"
        )
    old = billing_contract.readable(contracts, [stream]).get(stream)
    if old is None:
        return None
    if old.provider != contract.provider:
        return f"is of the provider {old.provider}, this contract of {contract.provider}"
    if contract.stream in _line(contracts, old):
        return "takes over from this contract itself: of two only one can"
    if contract.complements == stream or old.complements == contract.stream:
        return "holds another part of the same bill (billing.complements), and cannot be replaced by it"
    if "append" in (old.discovery.kind, contract.discovery.kind):
        return (
            "cannot be taken over: that takes two exports whose deliveries each hold a whole month"
        )
    return None


def _line(contracts: Path, contract: BillingContract) -> list[str]:
    """The contracts before one, without their complements; it may run in a circle."""
    found: list[str] = []
    stream = contract.succeeds
    while stream is not None and stream not in found:
        found.append(stream)
        before = billing_contract.readable(contracts, [stream]).get(stream)
        stream = before.succeeds if before else None
    return found
