"""Deliveries that the ledger has judged for good, told by what a listing alone says: nothing of them is read again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from etl import delivery
from etl.billing_contract import BillingContract
from etl.delivery import SUPERSEDED, Delivery


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


def _is_later(landed_at: datetime, before: Delivery) -> bool:
    return before.landed_at is None or landed_at > before.landed_at
