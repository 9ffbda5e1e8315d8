"""The months of a run of bills: each is settled and judged alone, and one that is refused holds back no other.

What touches a refused month is left out, whole, and the others are settled without it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from etl import layout, sql
from etl import validate as validation
from etl.billing import delivery, held, outcome, overlap, succession
from etl.billing import settle as settlement
from etl.billing.contract import BillingContract
from etl.billing.delivery import COMPLETE, Delivery, Refused
from etl.billing.moved import versions
from etl.billing.outcome import Month, Outcome
from etl.billing.tables import CHARGE, CHARGE_DAILY, DELIVERY
from etl.columns import Table
from etl.errors import QualityError
from etl.release import Changes, Entry, Release
from etl.staged import Staged
from etl.work import Work

UNFIT = (
    "where the lines are right, mend the rule in expectations/ or the mapping, and the next run reads them again; "
    f"else let the provider write them again, or land them mended; {overlap.UNTIL_THEN}"
)


@dataclass(frozen=True)
class Settled:
    """Ledger rows that changed, the sums of each month that moved, and what is to be done for those that wait."""

    changed: Sequence[Delivery]
    sums: Mapping[str, dict]
    refused: Sequence[str]


def loaded(number: int) -> str:
    """Name of what a load of the plan leaves in the work area: each delivery that it read."""
    return f"load-{number:04d}.json"


def settle(
    work: Work[BillingContract], contract: BillingContract, unfit: Mapping[str, Refused]
) -> Settled:
    """Stage the months that move, and the ledger. `unfit` are months that are refused already."""
    plan = work.load("deliveries.json")
    base = work.base(plan["base"])
    found = {one["delivery_id"]: delivery.from_json(one) for one in plan["found"]}
    with work.scratch() as folder:
        known = [
            one.as_landed(found.get(one.delivery_id, one))
            for one in delivery.ledger(work.settings, work.lake, base, contract.stream, folder)
        ]
        for stream in succession.predecessors(work.settings.contracts, contract):
            known += delivery.ledger(work.settings, work.lake, base, stream, folder / stream)
        out = work.staged(folder)
        done, sums = _settle(work, contract, base, plan, known, unfit, folder, out)
        for stream in sorted({one.stream for one in done.changed}):
            ledger = delivery.table(done.ledger(stream, known))
            out.add_rows(DELIVERY, ledger, {"stream": stream})
    work.save({"base": plan["base"], "tables": out.tables}, "settled.json")
    rows = {one.delivery_id: one for one in done.ledger(contract.stream, known)}
    rows |= {one.delivery_id: one for one in done.changed if one.stream == contract.stream}
    waiting = held.messages(contract, rows.values(), plan["asked"])
    return Settled(done.changed, sums, waiting)


def validate(
    work: Work[BillingContract], contract: BillingContract
) -> tuple[dict[str, str], Settled | None]:
    """Judge what settle staged, partition by partition; returns where the results lie, and what was settled again
    for want of months that break an expectation."""
    unfit: dict[str, Refused] = {}
    again = None
    while True:
        plan = work.load("settled.json")
        results, found = _judge(work, contract, plan["tables"])
        if not found:
            work.save(plan, "validated.json")
            return results, again
        unfit |= found
        again = settle(work, contract, unfit)


def rules(work: Work[BillingContract], contract: BillingContract) -> list[str]:
    """What judges a month besides its contract and what is published: whose months it takes over, the mapping,
    the expectations."""
    old = succession.predecessors(work.settings.contracts, contract)
    suites = (validation.suite_text(table) for table in (CHARGE, CHARGE_DAILY))
    return [*old, sql.model(contract.mapping.sql), *suites]


def _settle(
    work: Work[BillingContract],
    contract: BillingContract,
    base: Release,
    plan: dict,
    known: list[Delivery],
    unfit: Mapping[str, Refused],
    folder: Path,
    out: Staged,
) -> tuple[Outcome, dict[str, dict]]:
    """What becomes of all deliveries, less those that touch a month that turns out to be refused."""
    loads = [one for number in range(len(plan["loads"])) for one in work.load(loaded(number))]
    set_aside = [delivery.from_json(one) for one in plan["changed"]]
    moved = versions(work.settings, work.lake, contract, base, loads, known, folder / "moved")
    waits: dict[str, Delivery] = {}
    while True:
        out.tables.clear()
        done = outcome.decide(
            contract, base, loads, known, set_aside, waits, moved, plan["asked"], out
        )
        months = done.months(contract)
        sums, refused = _settle_each(work, contract, base, months, unfit, folder, out)
        if not refused:
            return done, sums
        for period, why in refused.items():
            touching = done.touching(period)
            told = rules(work, contract)
            waits |= held.refused(contract, base, period, plan["judged"], touching, why, told)


def _settle_each(
    work: Work[BillingContract],
    contract: BillingContract,
    base: Release,
    months: Iterable[Month],
    unfit: Mapping[str, Refused],
    folder: Path,
    out: Staged,
) -> tuple[dict[str, dict], dict[str, Refused]]:
    """The sums of each month, or why it is refused."""
    sums, refused = {}, {}
    for month in months:
        period = month.billing_period
        if period in unfit:
            refused[period] = unfit[period]
            continue
        try:
            sums[period] = settlement.settle(
                work.settings, work.lake, contract, base, month, folder / period, out
            )
        except Refused as problem:
            refused[period] = problem
    return sums, refused


def _judge(
    work: Work[BillingContract], contract: BillingContract, tables: Changes
) -> tuple[dict[str, str], dict[str, Refused]]:
    """Where the results of each partition lie, and the months that break an expectation."""
    results: dict[str, str] = {}
    unfit: dict[str, list[str]] = {}
    for table, name, entry in _judged(tables):
        if table is CHARGE_DAILY and _period(name) in unfit:
            continue  # its charges say which lines it is
        subject = validation.charges(table, contract, name, entry)
        try:
            with work.scratch() as folder:
                entry["validation"] = validation.validate(work.settings, work.lake, subject, folder)
        except QualityError as problem:
            unfit.setdefault(_period(name), []).append(str(problem))
        else:
            results[f"{table.name}/{name}"] = work.lake.location.url(entry["validation"])
    return results, {
        period: Refused("not_valid", "\n".join([*told, UNFIT]), COMPLETE)
        for period, told in unfit.items()
    }


def _judged(tables: Changes) -> Iterator[tuple[Table, str, Entry]]:
    for table in (CHARGE, CHARGE_DAILY):
        for name, entry in tables.get(table.name, {}).items():
            if entry is not None:
                yield table, name, entry


def _period(name: str) -> str:
    values = layout.partition_values(name)
    return values.get("billing_period") or values["x_billing_period"]
