"""Times that a store states -> naive UTC, as all our times are."""

from datetime import UTC, datetime

from etl.errors import NoArrival


def delivered_at(head: dict, url: str) -> datetime:
    """Metadata delivered-at where a copy or producer set it, else LastModified."""
    stated = head["Metadata"].get("delivered-at")
    if stated is None:
        return naive(head["LastModified"])
    try:
        moment = datetime.fromisoformat(stated)
    except ValueError as error:
        raise NoArrival(f"{url}: metadata delivered-at is not RFC 3339: fix it") from error
    if moment.tzinfo is None:
        raise NoArrival(f"{url}: metadata delivered-at has no zone: fix it")
    try:
        return naive(moment)
    except OverflowError as error:
        raise NoArrival(
            f"{url}: metadata delivered-at lies outside the years 1 to 9999: fix it"
        ) from error


def naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
