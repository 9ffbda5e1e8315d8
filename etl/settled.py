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

    def by_manifest(self, key: str, etag: str, landed_at: datetime) -> Delivery | None:
        """The delivery of a manifest that was read before."""
        return self._judged(self.of_manifest.get((key, etag)), landed_at)

    def by_objects(self, delivery_id: str, landed_at: datetime) -> Delivery | None:
        """The delivery of objects that stand for themselves, of which the last one was written then."""
        return self._judged(self.of_id.get(delivery_id), landed_at)

    def _judged(self, before: Delivery | None, landed_at: datetime) -> Delivery | None:
        if before is None or (before.state == SUPERSEDED and before.landed_at != landed_at):
            return None
        settled = delivery.is_settled(before, self.contract.version, before.submitted_at)
        return before if settled else None


def settled(contract: BillingContract, known: Iterable[Delivery]) -> Settled:
    of_id = {one.delivery_id: one for one in known}
    of_manifest = {(one.manifest_key, one.manifest_etag): one for one in of_id.values()}
    return Settled(contract, of_id, of_manifest)
