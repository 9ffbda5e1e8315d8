"""The table of verbs of the billing road: what a command or a task calls, one function a stage.

deliver → load (one call a delivery) → settle → validate → publish. Each reads its input from the lake or the
run's work area and leaves its output there; calling a stage again with the same run replaces what it left.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from etl import layout, release, settings
from etl import publish as publication
from etl.billing import absence, choose, delivery, discover, held, succession, way_back
from etl.billing import contract as billing_contract
from etl.billing import load as loading
from etl.billing import months as billing_months
from etl.billing.contract import BillingContract
from etl.billing.delivery import COMPLETE, LOADED, Delivery
from etl.billing.discover import Lying
from etl.billing.months import Settled
from etl.billing.tables import CHARGE_DAILY
from etl.errors import ContractError, SourceError
from etl.release import Release
from etl.store import Store
from etl.work import Work

SIDE_BY_SIDE = 16  # tasks that share what a contract delivers: in its first year thousands


def streams() -> list[str]:
    return billing_contract.streams(settings.without_store().contracts)


def deliver(stream: str, run: str, billing_period: str | None = None) -> dict:
    """Find deliveries, judge each, and plan which to load."""
    work, contract = _begin(stream, run)
    succession.refuse_wrong(work.settings.contracts, contract)
    base = release.latest(work.lake)
    with work.scratch() as folder:
        known = delivery.ledger(work.settings, work.lake, base, stream, folder)
    known = way_back.reopened(contract, known)
    again = billing_period is not None  # what is asked for again is looked at again
    lying = discover.discover(work.landing, contract, known, _now(), again)
    chosen, loads, changed = _chosen(work, contract, base, known, lying, billing_period)
    plan = {
        "base": base.number,
        "asked": billing_period,
        "judged": [one.delivery_id for one, *_ in chosen],
        "loads": [[one.to_json() for one in group] for group in loads],
        "changed": [one.to_json() for one in changed],
        "found": [replace(one, parts=()).to_json() for one in lying.found],
    }
    work.save(plan, "deliveries.json")
    numbers = list(range(len(loads)))
    return {
        "deliveries": len(lying.found),
        "loads": numbers,
        "batches": [numbers[first::SIDE_BY_SIDE] for first in numbers[:SIDE_BY_SIDE]],
        "set_aside": _outcomes(changed),
    }


def load(stream: str, run: str, number: int) -> dict:
    """Read one delivery of the plan into staged charges; where it is no good month, the one before it."""
    work, contract = _begin(stream, run)
    bodies, read = [], []
    for one in map(delivery.from_json, work.load("deliveries.json")["loads"][number]):
        with work.scratch() as folder:
            out = work.staged(folder)
            done = loading.load(work.settings, work.landing, contract, one, folder, out)
        body = {"objects": done.objects, "source": done.sources(), "tables": out.tables}
        bodies.append(body | {"accounts": sorted(done.accounts)})
        read.append(done.delivery)
        if done.delivery.state == LOADED and done.delivery.rows:
            break
    outcomes = way_back.judged(read)
    pairs = zip(bodies, outcomes, strict=True)
    work.save(
        [body | {"delivery": one.to_json()} for body, one in pairs], billing_months.loaded(number)
    )
    last = next((one for one in outcomes if one.state == LOADED), outcomes[0])
    names = ("billing_period", "state", "reason", "detail", "rows", "unknown_columns")
    return {"delivery": last.delivery_id} | {name: getattr(last, name) for name in names}


def settle(stream: str, run: str) -> dict:
    """Decide what becomes of each delivery; stage the months that move and the ledger. A month that is refused
    holds back no other: the deliveries that touch it wait."""
    return _told(billing_months.settle(*_begin(stream, run), {}))


def validate(stream: str, run: str) -> dict:
    """Judge staged charges and daily costs; a month that breaks an expectation is refused as in settle."""
    results, again = billing_months.validate(*_begin(stream, run))
    return {"validated": len(results), "results": results} | (_told(again) if again else {})


def publish(stream: str, run: str) -> dict:
    """Publish months, ledgers and control totals of one stream in one release; `months` names them
    as partitions of the asset: provider/YYYY-MM."""
    work, contract = _begin(stream, run)
    plan = work.load("validated.json")
    done = publication.publish_charges(
        work.settings, work.lake, contract, plan["base"], run, plan["tables"], _now()
    )
    names = map(layout.partition_values, plan["tables"].get(CHARGE_DAILY.name, {}))
    months = {f"{contract.provider}/{one['billing_period']}" for one in names}
    return {"release": done.number, "months": sorted(months)}


def ingest(
    stream: str,
    run: str,
    billing_period: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict:
    """All stages from landing to published charges, in this process; `say` hears of what takes long."""
    plan = deliver(stream, run, billing_period)
    for number in plan["loads"]:
        say(f"{stream}: reading delivery {number + 1} of {len(plan['loads'])}")
        load(stream, run, number)
    if plan["loads"]:
        say(f"{stream}: settling and judging what was read")
    settled = settle(stream, run) | validate(stream, run)
    return settled | publish(stream, run)


def overdue(stream: str) -> list[str]:
    """Why somebody must look: no complete delivery came for as long as the contract bears, or one waits."""
    work, contract = _begin(stream, "overdue")
    with work.scratch() as folder:
        base = release.latest(work.lake)
        known = delivery.ledger(work.settings, work.lake, base, stream, folder)
    now, contracts = _now(), work.settings.contracts
    elsewhere = succession.taken_over(contracts, contract, base)
    late = absence.overdue(work.landing, contracts, contract, known, now)
    unfinished = held.unfinished(contract, known, now, elsewhere)
    return [*([late] if late else []), *held.messages(contract, known), *unfinished]


def alarm() -> None:
    """SourceError that names every contract in use whose deliveries stay away or that is wrong, and every
    month that was refused."""
    told = dict.fromkeys(why for stream in streams() for why in _overdue(stream))
    if told:
        raise SourceError("\n".join(told))


def _overdue(stream: str) -> list[str]:
    try:
        return overdue(stream)
    except ContractError as wrong:  # told as well: a wrong contract hides nothing of the others
        return [str(wrong)]


def _chosen(
    work: Work[BillingContract],
    contract: BillingContract,
    base: Release,
    known: list[Delivery],
    lying: Lying,
    asked: str | None,
) -> tuple[list[list[Delivery]], list[list[Delivery]], list[Delivery]]:
    """Deliveries that count now, those of them to load, and ledger rows that changed without being loaded."""
    gone = way_back.withdrawn(contract, known, lying.found, lying.there)
    told, waiting = [], set[str]()
    adds = contract.discovery.kind == "append"
    rules = billing_months.rules(work, contract)
    if asked:
        lost = [name for name, (one, _) in gone.items() if one.billing_period == asked]
        known = way_back.given_up(contract, known, lost)
    else:
        told = [way_back.told(contract, *pair) for pair in gone.values()]
        complete = [one for one in lying.found if one.state == COMPLETE and not adds]
        waiting = held.waiting(contract, base, complete, known, rules)
    taken_over = succession.taken_over(work.settings.contracts, contract, base)
    names = {one.delivery_id for one in told}
    chosen, changed = choose.choose(contract, lying.found, known, asked, taken_over, waiting, names)
    if adds and not asked:  # what comes together is judged together
        waiting = held.waiting(contract, base, [one for one, *_ in chosen], known, rules)
    news = [one for one in told if one.detail not in {before.detail for before in known}]
    news += held.vanished(contract, known, lying.there, asked)
    return chosen, [one for one in chosen if one[0].delivery_id not in waiting], changed + news


def _begin(stream: str, run: str) -> tuple[Work, BillingContract]:
    env = settings.from_environment()
    billing_contract.known(env.contracts, stream)
    contract = billing_contract.load(env.contracts, stream)
    return Work(run, env, Store(env.landing), Store(env.lake), contract), contract


def _told(done: Settled) -> dict:
    return {
        "deliveries": _outcomes(done.changed),
        "details": {one.delivery_id: one.detail for one in done.changed if one.detail},
        "sums": done.sums,
        "refused": done.refused,
    }


def _outcomes(changed: Iterable[Delivery]) -> dict[str, str]:
    return {one.delivery_id: f"{one.state} {one.reason or ''}".strip() for one in changed}


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
