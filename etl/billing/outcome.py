"""What becomes of the deliveries that a run has read: ledger rows, charges that come and go, months that move."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from etl import layout
from etl.billing import delivery, partial
from etl.billing.contract import BillingContract
from etl.billing.delivery import LOADED, SUPERSEDED, Delivery, age
from etl.billing.moved import Moved, is_same_object
from etl.billing.tables import CHARGE, DELIVERY_OBJECT
from etl.release import Changes, Release
from etl.staged import Staged


@dataclass(frozen=True)
class Month:
    """What settles one month: the sums of the text of deliveries that are new in it, and when it moved."""

    billing_period: str
    source: list[dict]  # delivery, stage, category, currency, rows, source_cost, source_credits
    cause: str
    closed: bool
    asked: bool  # by name, so that an account may go from it
    old_streams: tuple[str, ...] = ()  # contracts that hold it, and of which this one takes it over


@dataclass
class Outcome:
    """`touched`: month -> deliveries that this run has read and whose charges come or go in it."""

    stream: str
    asked: str | None = None  # month that was asked for by name
    changed: list[Delivery] = field(default_factory=list)
    sources: list[dict] = field(default_factory=list)
    touched: dict[str, set[str]] = field(default_factory=dict)
    gone: set[tuple[str, str]] = field(default_factory=set)  # stream and delivery whose rows went

    def ledger(self, stream: str, known: Iterable[Delivery]) -> list[Delivery]:
        """The rows of one contract: what is loaded stays so until its charges go, whatever was told of it since."""
        rows = {one.delivery_id: one for one in known if one.stream == stream}
        for one in self.changed:
            before = rows.get(one.delivery_id)
            stays = before and before.state == LOADED and one.state != LOADED
            if one.stream == stream and not (stays and (stream, one.delivery_id) not in self.gone):
                rows[one.delivery_id] = one
        return list(rows.values())

    def touching(self, billing_period: str) -> list[Delivery]:
        names = self.touched[billing_period]
        return [one for one in self.changed if one.delivery_id in names]

    def months(self, contract: BillingContract) -> list[Month]:
        """Months whose charges are added, replaced or removed."""
        days = contract.discovery.closes_after_days
        return [
            Month(
                period,
                [_without_period(row) for row in self.sources if row["billing_period"] == period],
                f"deliveries {', '.join(sorted(self.touched[period]))}",
                any(
                    delivery.is_closed(period, one.submitted_at, days)
                    for one in self.touching(period)
                ),
                period == self.asked,
                self._taken_over(period),
            )
            for period in sorted(self.touched)
        ]

    def _taken_over(self, billing_period: str) -> tuple[str, ...]:
        gone = (one for one in self.changed if one.reason == "taken_over")
        old = {one.stream for one in gone if one.billing_period == billing_period}
        return tuple(sorted(old - {self.stream}))


def decide(
    contract: BillingContract,
    base: Release,
    loads: Iterable[dict],
    known: Iterable[Delivery],
    set_aside: Iterable[Delivery],
    refused: Mapping[str, Delivery],
    moved: Moved,
    asked: str | None,
    out: Staged,
) -> Outcome:
    """Take in each delivery in its turn, but for those `refused`: nothing of theirs comes, nothing goes. `known`
    are the ledgers of this contract and of those that it takes over from, `moved` the versions of objects in other
    places, `asked` the month that was asked for by name."""
    done = Outcome(contract.stream, asked, list(set_aside))
    for load in loads:
        one = delivery.from_json(load["delivery"])
        if one.delivery_id in refused:
            done.changed.append(refused[one.delivery_id])
        else:
            elsewhere = moved.get(one.delivery_id, frozenset())
            _take(contract, base, load, [*known, *done.changed], elsewhere, out, done)
    return done


def _take(
    contract: BillingContract,
    base: Release,
    load: dict,
    known: list[Delivery],
    elsewhere: Collection[str],
    out: Staged,
    done: Outcome,
) -> None:
    """One load; where it is accepted, its charges take the place of what it replaces."""
    one = accept(contract, delivery.from_json(load["delivery"]), known, elsewhere, done.asked)
    old = taken_back(contract, one, known, elsewhere)
    names = {
        name
        for gone in old
        for name in base.partitions(CHARGE.name, x_stream=gone.stream, x_delivery=gone.short_id)
    }
    names |= _taken_in(old, out, done)
    if one.state == LOADED and contract.discovery.kind == "replace":  # whatever a ledger says
        month = {"x_stream": one.stream, "x_billing_period": one.billing_period}
        names |= base.partitions(CHARGE.name, **month).keys()
    for name in names:
        out.remove(CHARGE, name)
    for gone in old:
        out.remove(DELIVERY_OBJECT, f"stream={gone.stream}/delivery={gone.short_id}")
    if one.state == LOADED:
        tables: Changes = load["tables"]
        out.tables.setdefault(CHARGE.name, {}).update(tables.get(CHARGE.name, {}))
        names |= tables.get(CHARGE.name, {}).keys()
        rows = pa.Table.from_pylist(load["objects"], DELIVERY_OBJECT.schema)
        out.add_rows(DELIVERY_OBJECT, rows, {"stream": one.stream, "delivery": one.short_id})
        done.sources += load["source"]
    for name in names:
        period = layout.partition_values(name)["x_billing_period"]
        done.touched.setdefault(period, set()).add(one.delivery_id)
    done.gone |= {(gone.stream, gone.delivery_id) for gone in old}
    done.changed += [_superseded(contract, gone, one) for gone in old]
    done.changed.append(one)


def _taken_in(old: Iterable[Delivery], out: Staged, done: Outcome) -> set[str]:
    """Partitions of deliveries of this very run that go again; their sums go at once."""
    ids = {one.short_id for one in old}
    done.sources = [row for row in done.sources if row["delivery"] not in ids]
    staged = out.tables.get(CHARGE.name, {})
    return {name for name in staged if layout.partition_values(name)["x_delivery"] in ids}


def _superseded(contract: BillingContract, gone: Delivery, by: Delivery) -> Delivery:
    if gone.stream == by.stream:
        is_back = contract.discovery.kind == "replace" and _is_back(by, gone)
        why = "withdrawn" if is_back else "newer_delivery"
        return gone.at(SUPERSEDED, why, by.delivery_id)
    return gone.at(SUPERSEDED, "taken_over", f"{by.stream} {by.delivery_id}")


def _is_back(one: Delivery, before: Delivery) -> bool:
    """An older one is chosen only where what is loaded was withdrawn, and the month was asked for."""
    return one.stream == before.stream and age(one) < age(before)


def accept(
    contract: BillingContract,
    done: Delivery,
    known: Collection[Delivery],
    elsewhere: Collection[str] = (),
    asked: str | None = None,
) -> Delivery:
    """What becomes of a delivery once its rows were read, given what is loaded of its month, be it by a contract
    that this one takes over from. `elsewhere`: versions of its object in other places."""
    if done.state != LOADED:
        return done
    if contract.discovery.kind == "append":
        return _unless_copied(contract, done, known, elsewhere)
    for old in replaced(contract, done, known):
        same = (old.stream, old.content_hash) == (done.stream, done.content_hash)
        if same and not _is_back(done, old):
            return done.at(SUPERSEDED, "same_content", old.delivery_id)
        is_back = done.rows and _is_back(done, old)
        if not is_back and (less := partial.refused(done, old, known, asked)):
            return less
    return done


def _unless_copied(
    contract: BillingContract,
    done: Delivery,
    known: Iterable[Delivery],
    elsewhere: Collection[str],
) -> Delivery:
    """The bytes of one that is loaded, landed in another place, add nothing; nor does an older version of an
    object that lies elsewhere."""
    rows = {one.delivery_id: one for one in known}.values()
    is_rewritten = any(one.state == LOADED and one.place == done.place for one in rows)
    for other in rows:
        same = other.content_hash == done.content_hash and other.place != done.place
        gave_way = not is_rewritten and _gave_way(contract, done, other)
        if done.rows and same and (other.state == LOADED or gave_way):
            return done.at(SUPERSEDED, "same_content", other.delivery_id)
        if other.state == LOADED and other.delivery_id in elsewhere and age(other) > age(done):
            return done.at(SUPERSEDED, "older_than_loaded", other.delivery_id)
    return done


def _gave_way(contract: BillingContract, done: Delivery, other: Delivery) -> bool:
    replaced_by_newer = (other.state, other.reason) == (SUPERSEDED, "newer_delivery")
    return replaced_by_newer and is_same_object(contract, done, other)


def replaced(
    contract: BillingContract,
    done: Delivery,
    known: Iterable[Delivery],
    elsewhere: Collection[str] = (),
) -> list[Delivery]:
    """Loaded deliveries whose rows this one takes the place of."""
    mine = (done.stream, done.delivery_id)
    others = [one for one in known if (one.stream, one.delivery_id) != mine]
    loaded = [one for one in others if one.state == LOADED]
    if contract.discovery.kind == "append":
        return [one for one in loaded if one.place == done.place or one.delivery_id in elsewhere]
    return [one for one in loaded if one.billing_period == done.billing_period]


def taken_back(
    contract: BillingContract,
    done: Delivery,
    known: Iterable[Delivery],
    elsewhere: Collection[str] = (),
) -> list[Delivery]:
    """Deliveries whose rows go: what a loaded one replaces; what lay in the place of a copy, and its own rows from
    before it was told to be one."""
    if done.state == LOADED:
        return replaced(contract, done, known, elsewhere)
    if done.state == SUPERSEDED and contract.discovery.kind == "append":
        return [*replaced(contract, done, known), done]
    return []


def _without_period(row: dict) -> dict:
    return {name: value for name, value in row.items() if name != "billing_period"}
