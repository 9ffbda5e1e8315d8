"""What a manifest states: the values in its JSON, each as it is needed; raises Refused where it is none."""

import json
from datetime import datetime, timedelta
from typing import Any

from etl.billing.contract import BillingContract, Discovery
from etl.billing.delivery import Refused

LARGEST = 2**63 - 1


def get(document: Any, path: str | None) -> Any:
    """Value at a dotted path; None where there is none."""
    for name in path.split(".") if path else ():
        document = document.get(name) if isinstance(document, dict) else None
    return document if path else None


def count(value: Any) -> int | None:
    """A stated number; null means that it is not known, never zero."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return max(
        -LARGEST, min(value, LARGEST)
    )  # so that an absurd one differs, and can be written down


def total(entries: list, path: str | None) -> int | None:
    """Of a number that each entry states; None where one does not."""
    numbers = [count(get(one, path)) for one in entries]
    known = [one for one in numbers if one is not None]
    return count(sum(known)) if path and len(known) == len(numbers) else None


def rows(marker: bytes) -> int | None:
    """`rows` of a marker: ours to define, and optional. A number, or its digits, as BigQuery writes an INT64."""
    try:
        value = get(json.loads(marker), "rows")
        return count(int(value) if isinstance(value, str) and value.isdecimal() else value)
    except (ValueError, RecursionError):  # a marker need not say anything
        return None


def moment(value: Any) -> datetime | None:
    """ISO 8601, extended or basic, as naive UTC."""
    if not isinstance(value, str) or not value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise Refused("manifest_not_readable", f"{value[:40]} is no time") from None
    return found.replace(tzinfo=None) - (found.utcoffset() or timedelta(0))


def period(value: Any) -> str | None:
    found = moment(value)
    return found.strftime("%Y-%m") if found else None


def refuse_scope(contract: BillingContract, document: Any) -> None:
    """Part of a month, or another version of the data set, never stands for the month."""
    keys, wanted = contract.discovery.manifest, contract.discovery.dataset_version
    assert keys is not None
    version = get(document, keys.dataset_version)
    if wanted and version != wanted:
        raise Refused("dataset_version", f"{version}, the contract reads {wanted}")
    dataset = get(document, keys.dataset)
    if keys.dataset and dataset != contract.dataset:
        raise Refused("foreign_dataset", f"{dataset}, the contract reads {contract.dataset}")
    start = moment(get(document, keys.period_start))
    if start and start.day != 1:
        raise Refused("partial_month", f"begins on {start.date()}")
    end = moment(get(document, keys.period_end))
    if start and end and (end - start) > timedelta(days=32):
        raise Refused("several_months", f"{start.date()} to {end.date()}")


def key(name: str, discovery: Discovery, landing: str) -> str:
    """Landing key of what a manifest calls s3://bucket/key, or key. Where the provider writes into landing itself,
    whose prefix this is, the name is that of the object there."""
    if name.startswith("s3://"):
        bucket, _, name = name.removeprefix("s3://").partition("/")
        if discovery.bucket and bucket != discovery.bucket:
            said = f"{bucket}, billing.discovery.bucket of the contract is {discovery.bucket}"
            raise Refused("foreign_bucket", said)
    own = name.removeprefix(landing)
    return own if own.startswith(discovery.prefix) else discovery.prefix + name
