"""CloudEvents as a Kafka sink writes them: contiguous offsets, repeats, voids, late and broken records."""

import json
import random
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

from sample.model import LandedObject, Truth, packed

STREAM = "app_usage"
EVENTS_A_DAY = 1200
PARTITIONS = 2
OBJECTS = 3  # a day and partition
LOST_OFFSETS = 7
METERS = {
    "com.example.api.call.v1": ("api_calls", "Requests"),
    "com.example.tokens.used.v1": ("llm_tokens", "Tokens"),
    "com.example.seat.minutes.v2": ("seat_minutes", "Minutes"),
}
TENANTS = ("t-4f9a1c", "t-81be03", "t-c0ffee", "t-d15ea5", "t-7a7a7a")
SOURCES = ("//search.example.com/a", "//reports.example.com/b")
FEATURES = ("core", "export", "beta")


@dataclass
class Day:
    """Lines that land on one day: first those that come first, then those in each partition's last object."""

    date: date
    first: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)


def generate(rng: random.Random, dates: list[date], truth: Truth) -> list[LandedObject]:
    days = [Day(day) for day in [*dates, dates[-1] + timedelta(days=1)]]
    for today, tomorrow in pairwise(days):
        _ordinary(rng, today, tomorrow, truth)
        _corrections(rng, today, tomorrow, truth)
        _boundaries(rng, today, truth)
        _broken(rng, today, truth)
    return _objects(rng, days, truth)


def _ordinary(rng: random.Random, today: Day, tomorrow: Day, truth: Truth) -> None:
    for n in range(EVENTS_A_DAY):
        event = _event(rng, _moment(rng, today.date))
        if event["type"].startswith("com.example.api") and rng.random() < 0.02:
            event["sampledrate"] = 10
        late = n % 150 == 149
        _count(event, truth)
        _land(event, tomorrow if late else today, truth)
        if n % 40 == 0 and not late:
            _repeat(rng, event, n, today, tomorrow, truth)


def _repeat(
    rng: random.Random, event: dict, n: int, today: Day, tomorrow: Day, truth: Truth
) -> None:
    """The same record again, delivered later: as it was, with another time, or with another quantity."""
    again, kind = json.loads(json.dumps(event)), "re_delivery"
    if n % 120 == 40:
        kind = "re_stamped"
        again["time"] = _text(datetime.combine(tomorrow.date, time(rng.randrange(20), 5)))
    elif n % 120 == 80:
        kind = "conflict"
        again["data"]["quantity"] = int(Decimal(again["data"]["quantity"])) + 5
    truth.duplicates[STREAM, kind] += 1
    _land(again, tomorrow if kind != "re_delivery" or n % 240 == 0 else today, truth, last=True)


def _corrections(rng: random.Random, today: Day, tomorrow: Day, truth: Truth) -> None:
    """A void after its target, one that lands a day before it, one without a target; an adjust."""
    target = _event(rng, _moment(rng, today.date))
    _land(target, today, truth)
    _land(_void(rng, target, today.date), today, truth, last=True)
    early = _event(rng, datetime.combine(today.date, time(12)))
    _land(_void(rng, early, today.date), today, truth)
    _land(early, tomorrow, truth)
    _land(_void(rng, {"source": SOURCES[0], "id": _id(rng)}, today.date), today, truth)
    truth.voids.update(applied=2, unmatched=1)
    adjusted = _event(rng, _moment(rng, today.date), kind="com.example.tokens.used.v1")
    _count(adjusted, truth)
    _land(adjusted, today, truth)
    adjust = _event(rng, _moment(rng, today.date)) | {"type": "com.example.usage.adjust.v1"}
    adjust["subject"] = adjusted.get("subject", "")
    target_key = {"source": adjusted["source"], "id": adjusted["id"]}
    adjust["data"] = {"adjusts": target_key, "type": "com.example.tokens.used.v1", "quantity": -12}
    _land(adjust, today, truth)
    tenant = adjust["subject"] or "UNATTRIBUTED"
    truth.count(today.date, STREAM, tenant, METERS["com.example.tokens.used.v1"], Decimal(-12))


def _boundaries(rng: random.Random, today: Day, truth: Truth) -> None:
    """The first and the last millisecond of the day, a time with an offset, a clock that runs ahead."""
    for moment in (time(0), time(23, 59, 59, 999000)):
        event = _event(rng, datetime.combine(today.date, moment))
        _count(event, truth)
        _land(event, today, truth)
    offset = _event(rng, datetime.combine(today.date, time(20)))
    _count(offset, truth)
    offset["time"] = f"{today.date + timedelta(days=1)}T01:30:00+05:30"
    _land(offset, today, truth)
    ahead = _event(rng, datetime.combine(today.date, time(12)))
    _count(ahead, truth)
    ahead["time"] = _text(datetime.combine(today.date + timedelta(days=1), time(4)))
    _land(ahead, today, truth)


def _broken(rng: random.Random, today: Day, truth: Truth) -> None:
    def bad(reason: str, event: dict, line: str | None = None) -> None:
        truth.land(STREAM, today.date, records=1, refused=reason)
        today.first.append(line or json.dumps(event, separators=(",", ":")))

    def fresh() -> dict:
        return _event(rng, _moment(rng, today.date))

    bad("not_json", {}, json.dumps(fresh())[:60])
    bad("unknown_type", fresh() | {"type": "com.example.unheard.of.v1"})
    bad("no_quantity", fresh() | {"data": {"feature": "core"}})
    bad("no_time", fresh() | {"time": f"{today.date}T10:00:00"})
    bad("no_identity", {name: value for name, value in fresh().items() if name != "id"})
    bad("too_late", fresh() | {"time": f"{today.date - timedelta(days=40)}T10:00:00Z"})
    bad("personal_data", fresh() | {"subject": "kim.example@example.com"})


def _objects(rng: random.Random, days: list[Day], truth: Truth) -> list[LandedObject]:
    objects, offsets = [], [1000 * (n + 1) for n in range(PARTITIONS)]
    for number, day in enumerate(days):
        for partition in range(PARTITIONS):
            lines = [*day.first[partition::PARTITIONS]]
            parts = [lines[n::OBJECTS] for n in range(OBJECTS)]
            parts[-1] += day.last[partition::PARTITIONS]
            for n, part in enumerate(one for one in parts if one):
                if number == 1 and partition == 0 and n == 1:
                    _lose(day.date, partition, offsets, truth)
                objects.append(_object(day.date, partition, offsets[partition], n, part))
                truth.land(STREAM, day.date, objects=1)
                offsets[partition] += len(part)
    return objects


def _lose(day: date, partition: int, offsets: list[int], truth: Truth) -> None:
    gap = {"stream": STREAM, "sequence_scope": str(partition), "landed_date": str(day)}
    truth.gaps.append(gap | {"first_missing": offsets[partition], "missing": LOST_OFFSETS})
    offsets[partition] += LOST_OFFSETS


def _object(day: date, partition: int, offset: int, n: int, lines: list[str]) -> LandedObject:
    folder = f"topics/usage.events/year={day:%Y}/month={day:%m}/day={day:%d}"
    key = f"{folder}/usage.events+{partition}+{offset:010d}.json.gz"
    delivered = datetime.combine(day, time(23, 58)) + timedelta(seconds=10 * n + partition)
    return LandedObject(key, packed(("\n".join(lines) + "\n").encode()), delivered)


def _event(rng: random.Random, moment: datetime, kind: str | None = None) -> dict:
    kind = kind or rng.choices(list(METERS), weights=(5, 3, 2))[0]
    event: dict = {
        "specversion": "1.0",
        "id": _id(rng),
        "source": rng.choice(SOURCES),
        "type": kind,
        "time": _text(moment),
    }
    subject = rng.choice((*TENANTS, *TENANTS, "", None))
    if subject is not None:
        event["subject"] = subject
    event["datacontenttype"] = "application/json"
    event["data"] = {"quantity": _quantity(rng, kind), "feature": rng.choice(FEATURES)}
    return event


def _quantity(rng: random.Random, kind: str) -> int | float | str:
    if kind.endswith("seat.minutes.v2"):
        text = f"{rng.randrange(1, 60000) / 1000:.3f}"
        return text if rng.random() < 0.3 else float(text)
    return 1 if kind.endswith("api.call.v1") else rng.randrange(1, 4000)


def _void(rng: random.Random, target: dict, day: date) -> dict:
    void = _event(rng, datetime.combine(day, time(13)), kind="com.example.api.call.v1")
    void["type"] = "com.example.usage.void.v1"
    void["data"] = {"voids": {"source": target["source"], "id": target["id"]}, "reason": "test"}
    return void


def _count(event: dict, truth: Truth) -> None:
    """Counts an event on the day of its time, as long as that still is its true UTC time."""
    tenant = event.get("subject") or "UNATTRIBUTED"
    day, quantity = date.fromisoformat(event["time"][:10]), Decimal(str(event["data"]["quantity"]))
    truth.count(day, STREAM, tenant, METERS[event["type"]], quantity, event.get("sampledrate", 1))


def _land(event: dict, day: Day, truth: Truth, last: bool = False) -> None:
    truth.land(STREAM, day.date, records=1)
    (day.last if last else day.first).append(json.dumps(event, separators=(",", ":")))


def _moment(rng: random.Random, day: date) -> datetime:
    return datetime.combine(day, time(0)) + timedelta(milliseconds=rng.randrange(86_400_000))


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds") + "Z"


def _id(rng: random.Random) -> str:
    return f"{rng.getrandbits(128):032x}"
