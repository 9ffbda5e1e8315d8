"""Storage access logs: quoted fields, double-encoded keys, missing bytes, one object delivered twice."""

import random
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from sample.model import LandedObject, Truth

STREAM = "s3_access"
LINES_AN_OBJECT = 160
OBJECTS = 3
OWNER = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
BUCKET = "example-usage"
TENANTS = ("t-4f9a1c", "t-81be03", "t-c0ffee", "t-d15ea5")
OPERATIONS = ("REST.GET.OBJECT", "REST.PUT.OBJECT", "REST.HEAD.OBJECT", "REST.COPY.OBJECT_GET")
REQUESTS, BYTES = ("storage_requests", "Requests"), ("storage_egress", "Bytes")


def generate(rng: random.Random, dates: list[date], truth: Truth) -> list[LandedObject]:
    return [one for day in dates for one in _day(rng, day, truth)]


def _day(rng: random.Random, day: date, truth: Truth) -> list[LandedObject]:
    objects = []
    for n in range(OBJECTS):
        lines = [_line(rng, day, truth) for _ in range(LINES_AN_OBJECT)]
        records = len(lines)
        if n == 0:
            lines.append(lines[0][:80])
            truth.land(STREAM, day, records=1, refused="no_match")
        truth.land(STREAM, day, objects=1, records=records)
        objects.append(_object(rng, day, lines, minutes=5 + n))
    again = objects[1]
    objects.append(_object(rng, day, again.body.decode().splitlines(), minutes=40))
    truth.land(STREAM, day, objects=1, records=LINES_AN_OBJECT)
    truth.duplicates[STREAM, "re_delivery"] += LINES_AN_OBJECT
    return objects


def _line(rng: random.Random, day: date, truth: Truth) -> str:
    """One request; counted as it is written."""
    tenant, operation = rng.choice((*TENANTS, "-")), rng.choice(OPERATIONS)
    moment = datetime.combine(day, time(0)) + timedelta(seconds=rng.randrange(86_400))
    size = rng.randrange(1, 50_000) if operation == "REST.GET.OBJECT" else None
    attributed = "UNATTRIBUTED" if tenant == "-" else tenant
    truth.count(day, STREAM, attributed, REQUESTS, Decimal(1))
    if size is not None:
        truth.count(day, STREAM, attributed, BYTES, Decimal(size))
    key = "-" if tenant == "-" else f"{tenant}/data/{rng.randrange(100)}%2520x.bin"
    agent = rng.choice(('"-"', '"curl/8.5"', r'"Boto3/1.44 md/Bot\"quoted"', "-"))
    requester = rng.choice(("-", f"arn:aws:iam::111122223333:user/kim-{tenant}"))
    fields = [
        OWNER,
        BUCKET,
        f"[{moment:%d/%b/%Y:%H:%M:%S} +0000]",
        f"203.0.113.{rng.randrange(1, 255)}",
        requester,
        f"{rng.getrandbits(64):016X}",
        operation,
        key,
        f'"{operation.split(".")[1]} /{key} HTTP/1.1"',
        "200",
        "-",
        "-" if size is None else str(size),
        str(rng.randrange(1, 20_000)),
        str(rng.randrange(1, 90)),
        str(rng.randrange(1, 40)),
        '"-"',
        agent,
        "-",
        f"{rng.getrandbits(128):032x}=",
        "SigV4 TLS_AES_128_GCM_SHA256 AuthHeader example-usage.s3.us-east-1.amazonaws.com TLSv1.3 - -",
    ]
    return " ".join(fields) + (" us-east-1" if rng.random() < 0.5 else "")


def _object(rng: random.Random, day: date, lines: list[str], minutes: int) -> LandedObject:
    name = f"{day}-00-00-00-{rng.getrandbits(64):016X}"
    key = f"s3logs/111122223333/us-east-1/{BUCKET}/{day:%Y/%m/%d}/{name}"
    delivered = datetime.combine(day + timedelta(days=1), time(0)) + timedelta(minutes=minutes)
    return LandedObject(key, ("\n".join(lines) + "\n").encode(), delivered)
