"""The table of verbs of the billing road: what a command or a task calls, one function a stage.

deliver → load (one call a delivery) → settle → validate → publish. Each reads its input from the lake or the
run's work area and leaves its output there; calling a stage again with the same run replaces what it left.
"""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa

from etl import absence, billing_contract, choose, delivery, discover, layout, release, settings
from etl import load as loading
from etl import publish as publication
from etl import settle as settlement
from etl import validate as validation
from etl.billing_contract import BillingContract
from etl.charge_tables import CHARGE, CHARGE_DAILY, DELIVERY, DELIVERY_OBJECT
from etl.delivery import LOADED, SUPERSEDED, Delivery
from etl.errors import SettingError, SourceError
from etl.release import Changes, Release
from etl.settle import Month
from etl.staged import Staged
from etl.store import Store
from etl.work import Work

SIDE_BY_SIDE = 16  # tasks that share what a contract delivers: in its first year thousands


def streams() -> list[str]:
    return billing_contract.streams(settings.without_store().contracts)


def deliver(stream: str, run: str, billing_period: str | None = None) -> dict:
    """Find deliveries, judge each, and plan which to load."""
    work, contract = _begin(stream, run)
    base = release.latest(work.lake)
    with work.scratch() as folder:
        known = delivery.ledger(work.settings, work.lake, base, stream, folder)
    settled = [] if billing_period else known  # what is asked for again is looked at again
    found = discover.discover(work.landing, contract, settled, _now())
    chosen, changed = choose.choose(contract, found, known, billing_period)
    plan = {
        "base": base.number,
        "asked": billing_period,
        "loads": [one.to_json() for one in chosen],
        "changed": [one.to_json() for one in changed],
        "found": [replace(one, parts=()).to_json() for one in found],
    }
    work.save(plan, "deliveries.json")
    numbers = list(range(len(chosen)))
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
    work.save(body, _name(number))
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
    """Decide what becomes of each delivery; stage the months that move and the ledger."""
    work, contract = _begin(stream, run)
    plan = work.load("deliveries.json")
    base = work.base(plan["base"])
    found = {one["delivery_id"]: delivery.from_json(one) for one in plan["found"]}
    with work.scratch() as folder:
        known = [
            one.as_landed(found.get(one.delivery_id, one))
            for one in delivery.ledger(work.settings, work.lake, base, stream, folder)
        ]
        out = work.staged(folder)
        loads = [work.load(_name(n)) for n in range(len(plan["loads"]))]
        changed = [delivery.from_json(one) for one in plan["changed"]]
        sources: list[dict] = []
        for one in loads:
            changed += _take(contract, base, one, [*known, *changed], out, sources)
        months = _months(contract, out, sources, changed, plan.get("asked"))
        sums = {
            month.billing_period: settlement.settle(
                work.settings, work.lake, contract, base, month, folder / month.billing_period, out
            )
            for month in months
        }
        _keep_ledger(out, known, changed)
    work.save({"base": plan["base"], "tables": out.tables}, "settled.json")
    return {"deliveries": _outcomes(changed), "sums": sums}


def validate(stream: str, run: str) -> dict:
    """Judge staged charges and daily costs; QualityError publishes nothing."""
    work, contract = _begin(stream, run)
    plan = work.load("settled.json")
    results = {}
    for table in (CHARGE, CHARGE_DAILY):
        for name, entry in plan["tables"].get(table.name, {}).items():
            if entry is None:
                continue
            subject = validation.charges(table, contract, name, entry)
            with work.scratch() as folder:
                entry["validation"] = validation.validate(work.settings, work.lake, subject, folder)
            results[f"{table.name}/{name}"] = work.lake.location.url(entry["validation"])
    work.save(plan, "validated.json")
    return {"validated": len(results), "results": results}


def publish(stream: str, run: str) -> dict:
    """Publish months, ledgers and control totals of one stream in one release; `months` names them
    as partitions of the asset: provider/YYYY-MM."""
    work, contract = _begin(stream, run)
    plan = work.load("validated.json")
    done = publication.publish_charges(work.lake, plan["base"], run, plan["tables"], _now())
    names = map(layout.partition_values, plan["tables"].get(CHARGE_DAILY.name, {}))
    months = {f"{contract.provider}/{one['billing_period']}" for one in names}
    return {"release": done.number, "months": sorted(months)}


def ingest(stream: str, run: str, billing_period: str | None = None) -> dict:
    """All stages from landing to published charges, in this process."""
    plan = deliver(stream, run, billing_period)
    for number in plan["loads"]:
        load(stream, run, number)
    settled = settle(stream, run)
    validate(stream, run)
    return settled | publish(stream, run)


def overdue(stream: str) -> str | None:
    """Why somebody must look: no complete delivery came for as long as the contract bears."""
    work, contract = _begin(stream, "overdue")
    with work.scratch() as folder:
        known = delivery.ledger(work.settings, work.lake, release.latest(work.lake), stream, folder)
    return absence.overdue(work.landing, work.settings.contracts, contract, known, _now())


def alarm() -> None:
    """SourceError that names every contract in use whose deliveries stay away."""
    if late := [why for stream in streams() if (why := overdue(stream))]:
        raise SourceError("\n".join(late))


def _begin(stream: str, run: str) -> tuple[Work, BillingContract]:
    env = settings.from_environment()
    known = billing_contract.streams(env.contracts)
    if stream not in known:
        raise SettingError(
            f"there is no billing contract for {stream}: known are {', '.join(known)}"
        )
    contract = billing_contract.load(env.contracts, stream)
    return Work(run, env, Store(env.landing), Store(env.lake), contract), contract


def _take(
    contract: BillingContract,
    base: Release,
    load: dict,
    known: list[Delivery],
    out: Staged,
    sources: list[dict],
) -> list[Delivery]:
    """Ledger rows of one load; where it is accepted, its charges take the place of what it replaces."""
    one = choose.accept(contract, delivery.from_json(load["delivery"]), known)
    old = choose.taken_back(contract, one, known)
    for gone in old:
        for name in base.partitions(CHARGE.name, x_stream=one.stream, x_delivery=gone.short_id):
            out.remove(CHARGE, name)
        out.remove(DELIVERY_OBJECT, _objects(gone))
    if one.state == LOADED:
        tables: Changes = load["tables"]
        out.tables.setdefault(CHARGE.name, {}).update(tables.get(CHARGE.name, {}))
        rows = pa.Table.from_pylist(load["objects"], DELIVERY_OBJECT.schema)
        out.add_rows(DELIVERY_OBJECT, rows, {"stream": one.stream, "delivery": one.short_id})
        sources += load["source"]
    return [*(gone.at(SUPERSEDED, "newer_delivery", one.delivery_id) for gone in old), one]


def _objects(one: Delivery) -> str:
    return f"stream={one.stream}/delivery={one.short_id}"


def _months(
    contract: BillingContract,
    out: Staged,
    sources: list[dict],
    changed: list[Delivery],
    asked: str | None,
) -> list[Month]:
    """Months whose charges are added, replaced or removed."""
    names = out.tables.get(CHARGE.name, {})
    periods = sorted({layout.partition_values(name)["x_billing_period"] for name in names})
    loaded = [one for one in changed if one.state == LOADED] or changed
    cause = f"deliveries {', '.join(sorted(one.delivery_id for one in loaded))}"
    days = contract.discovery.closes_after_days
    return [
        Month(
            period,
            [_without_period(row) for row in sources if row["billing_period"] == period],
            cause,
            any(delivery.is_closed(period, one.submitted_at, days) for one in loaded),
            period == asked,
        )
        for period in periods
    ]


def _without_period(row: dict) -> dict:
    return {name: value for name, value in row.items() if name != "billing_period"}


def _keep_ledger(out: Staged, known: list[Delivery], changed: list[Delivery]) -> None:
    if changed:
        rows = {one.delivery_id: one for one in [*known, *changed]}
        out.add_rows(DELIVERY, delivery.table(rows.values()), {"stream": changed[0].stream})


def _outcomes(changed: list[Delivery]) -> dict[str, str]:
    return {one.delivery_id: f"{one.state} {one.reason or ''}".strip() for one in changed}


def _name(number: int) -> str:
    return f"load-{number:04d}.json"


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
