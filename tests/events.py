"""Builders of CloudEvents and their landed objects, every field defaulted."""

import gzip
import json
from datetime import date, datetime, time

API, TOKENS = "com.example.api.call.v1", "com.example.tokens.used.v1"
DAY = date(2026, 11, 18)


def event(
    id: str = "e1", quantity: object = 1, at: str = "2026-11-18T10:00:00Z", **fields: object
) -> dict:
    kind = fields.pop("type", API)
    data = fields.pop("data", {"quantity": quantity, "feature": fields.pop("feature", "core")})
    base = {
        "specversion": "1.0",
        "id": id,
        "source": "//app/a",
        "type": kind,
        "time": at,
        "subject": "t-1",
        "data": data,
    }
    return {name: value for name, value in (base | fields).items() if value is not None}


def void(target: str, id: str = "v1", at: str = "2026-11-18T11:00:00Z") -> dict:
    data = {"voids": {"source": "//app/a", "id": target}}
    return event(id, at=at, type="com.example.usage.void.v1", data=data)


def adjust(target: str, quantity: int, id: str = "a1", at: str = "2026-11-18T11:00:00Z") -> dict:
    data = {"adjusts": {"source": "//app/a", "id": target}, "type": API, "quantity": quantity}
    return event(id, at=at, type="com.example.usage.adjust.v1", data=data)


def lines(*events: dict | str | bytes) -> bytes:
    def line(one: dict | str | bytes) -> bytes:
        if isinstance(one, bytes):
            return one
        return (one if isinstance(one, str) else json.dumps(one)).encode()

    return gzip.compress(b"".join(line(one) + b"\n" for one in events), mtime=0)


def key(day: date = DAY, partition: int = 0, offset: int = 0) -> str:
    folder = f"topics/usage.events/year={day:%Y}/month={day:%m}/day={day:%d}"
    return f"{folder}/usage.events+{partition}+{offset:010d}.json.gz"


def evening(day: date = DAY, minute: int = 0) -> datetime:
    return datetime.combine(day, time(23, minute))
