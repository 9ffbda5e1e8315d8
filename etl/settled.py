"""Deliveries that the ledger has judged for good, told by what a listing alone says: nothing of them is read again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from etl import delivery
from etl.billing_contract import BillingContract
from etl.delivery import Delivery


@dataclass(frozen=True)
class Settled:
    """Of the deliveries that a ledger knows those that stay as they are while the same bytes lie where they lay."""

    contract: BillingContract
    of_id: Mapping[str, Delivery]
    of_manifest: Mapping[tuple[str | None, str | None], Delivery]

    def by_manifest(self, key: str, etag: str, modified_at: datetime) -> Delivery | None:
        """The delivery of a manifest that was read before: one that states its own time states it again."""
        before = self.of_manifest.get((key, etag))
        keys = self.contract.discovery.manifest
        if before and keys and keys.submitted:
            modified_at = before.submitted_at
        return self._judged(before, modified_at)

    def by_objects(self, delivery_id: str, modified_at: datetime) -> Delivery | None:
        """The delivery of objects that stand for themselves, of which the last one arrived then."""
        return self._judged(self.of_id.get(delivery_id), modified_at)

    def _judged(self, before: Delivery | None, at: datetime) -> Delivery | None:
        whole = at.replace(microsecond=0)  # as the head of an object tells it
        if before and delivery.is_settled(before, self.contract.version, whole):
            return before
        return None


def settled(contract: BillingContract, known: Iterable[Delivery]) -> Settled:
    of_id = {one.delivery_id: one for one in known}
    of_manifest = {(one.manifest_key, one.manifest_etag): one for one in of_id.values()}
    return Settled(contract, of_id, of_manifest)
