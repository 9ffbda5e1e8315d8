"""Deliveries that the ledger has judged for good, told by what a listing alone says: nothing of them is read again."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from etl.billing import delivery
from etl.billing.contract import BillingContract
from etl.billing.delivery import SUPERSEDED, Delivery

Found = tuple[str, Delivery | None]  # its id; None: settled and unchanged


@dataclass(frozen=True)
class Settled:
    """Of the deliveries that a ledger knows those that stay as they are while the same bytes lie where they lay.

    What was replaced counts again where the provider wrote it again: then it must be as old as it was.
    """

    contract: BillingContract
    of_id: Mapping[str, Delivery]
    of_manifest: Mapping[tuple[str | None, str | None], Delivery]
    of_bytes: Mapping[str | None, Delivery]  # by ETag of a manifest that names its delivery

    def by_manifest(self, key: str, etag: str, landed_at: datetime) -> Delivery | None:
        """The delivery of a manifest that was read before, here or where it lies a second time."""
        before = self.of_manifest.get((key, etag)) or self.of_bytes.get(etag)
        return self._judged(before, landed_at)

    def by_objects(self, delivery_id: str, landed_at: datetime) -> Delivery | None:
        """The delivery of objects that stand for themselves, of which the last one was written then."""
        return self._judged(self.of_id.get(delivery_id), landed_at)

    def _judged(self, before: Delivery | None, landed_at: datetime) -> Delivery | None:
        if before is None or (before.state == SUPERSEDED and _is_later(landed_at, before)):
            return None
        settled = delivery.is_settled(before, self.contract.version, before.submitted_at)
        return before if settled else None


def settled(contract: BillingContract, known: Iterable[Delivery]) -> Settled:
    of_id = {one.delivery_id: one for one in known}
    of_manifest = {(one.manifest_key, one.manifest_etag): one for one in of_id.values()}
    named = (one for one in of_id.values() if one.place != (one.manifest_key or "").lower())
    return Settled(contract, of_id, of_manifest, {one.manifest_etag: one for one in named})


def by_id(found: Iterable[Found], known: Iterable[Delivery]) -> dict[str, Delivery | None]:
    """Each delivery once: of a manifest that lies there twice the last one."""
    return dict(sorted(_told_apart(found, known), key=_written))


def _told_apart(found: Iterable[Found], known: Iterable[Delivery]) -> Iterator[Found]:
    """One run of an export may write several months under one id: each is a delivery of its own."""
    months = {one.delivery_id: one.billing_period for one in known}
    for name, one in sorted(found, key=lambda pair: pair[1].billing_period if pair[1] else ""):
        if one and months.setdefault(name, one.billing_period) != one.billing_period:
            one = replace(one, delivery_id=f"{name} {one.billing_period}")
        yield (one.delivery_id if one else name), one


def _written(found: Found) -> datetime:
    _, one = found
    return one.landed_at if one and one.landed_at else datetime.min


def _is_later(landed_at: datetime, before: Delivery) -> bool:
    return before.landed_at is None or landed_at > before.landed_at
