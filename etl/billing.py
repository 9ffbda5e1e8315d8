"""The table of verbs of the billing road: what a command or a task calls, one function a stage.

deliver → load (one call a delivery) → settle → validate → publish. Each reads its input from the lake or the
run's work area and leaves its output there; calling a stage again with the same run replaces what it left.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from etl import (
    absence,
    billing_contract,
    billing_months,
    choose,
    delivery,
    discover,
    held,
    layout,
    release,
    settings,
    succession,
)
from etl import load as loading
from etl import publish as publication
from etl.billing_contract import BillingContract
from etl.billing_months import Settled
from etl.charge_tables import CHARGE_DAILY
from etl.delivery import Delivery
from etl.errors import ContractError, SettingError, SourceError
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
    settled = [] if billing_period else known  # what is asked for again is looked at again
    found = discover.discover(work.landing, contract, settled, _now())
    taken_over = succession.taken_over(work.settings.contracts, contract, base)
    chosen, changed = choose.choose(contract, found, known, billing_period, taken_over)
    waiting = (
        []
        if billing_period
        else held.waiting(contract, base, chosen, known, billing_months.rules(work, contract))
    )
    names = {one.delivery_id for one in waiting}
    loads = [one for one in chosen if one.delivery_id not in names]
    plan = {
        "base": base.number,
        "asked": billing_period,
        "judged": [one.delivery_id for one in chosen],
        "loads": [one.to_json() for one in loads],
        "changed": [one.to_json() for one in changed],
        "found": [replace(one, parts=()).to_json() for one in found],
    }
    work.save(plan, "deliveries.json")
    numbers = list(range(len(loads)))
    return {
        "deliveries": len(found),
        "loads": numbers,
        "batches": [numbers[first::SIDE_BY_SIDE] for first in numbers[:SIDE_BY_SIDE]],
        "set_aside": _outcomes(changed),
    }


def load(stream: str, run: str, number: int) -> dict:
    """Read one delivery of the plan into staged charges."""
    work, contract = _begin(stream, run)
    one = delivery.from_json(work.load("deliveries.json")["loads"][number])
    with work.scratch() as folder:
        out = work.staged(folder)
        done = loading.load(work.settings, work.landing, contract, one, folder, out)
    body = {
        "delivery": done.delivery.to_json(),
        "objects": done.objects,
        "source": done.sources(),
        "tables": out.tables,
    }
    work.save(body, billing_months.loaded(number))
    return {
        "delivery": one.delivery_id,
        "billing_period": one.billing_period,
        "state": done.delivery.state,
        "reason": done.delivery.reason,
        "detail": done.delivery.detail,
        "rows": done.delivery.rows,
        "unknown_columns": done.delivery.unknown_columns,
    }


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


def ingest(stream: str, run: str, billing_period: str | None = None) -> dict:
    """All stages from landing to published charges, in this process."""
    plan = deliver(stream, run, billing_period)
    for number in plan["loads"]:
        load(stream, run, number)
    settled = settle(stream, run) | validate(stream, run)
    return settled | publish(stream, run)


def overdue(stream: str) -> list[str]:
    """Why somebody must look: no complete delivery came for as long as the contract bears, or one waits."""
    work, contract = _begin(stream, "overdue")
    with work.scratch() as folder:
        known = delivery.ledger(work.settings, work.lake, release.latest(work.lake), stream, folder)
    late = absence.overdue(work.landing, work.settings.contracts, contract, known, _now())
    return [*([late] if late else []), *held.messages(known)]


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


def _begin(stream: str, run: str) -> tuple[Work, BillingContract]:
    env = settings.from_environment()
    known = billing_contract.streams(env.contracts)
    if stream not in known:
        raise SettingError(
            f"there is no billing contract for {stream}: known are {', '.join(known)}"
        )
    contract = billing_contract.load(env.contracts, stream)
    return Work(run, env, Store(env.landing), Store(env.lake), contract), contract


def _told(done: Settled) -> dict:
    return {
        "deliveries": _outcomes(done.changed),
        "sums": done.sums,
        "refused": done.refused,
    }


def _outcomes(changed: Iterable[Delivery]) -> dict[str, str]:
    return {one.delivery_id: f"{one.state} {one.reason or ''}".strip() for one in changed}


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
