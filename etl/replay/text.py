"""What a replay changes, as text for a terminal or a task's log."""

from collections import Counter
from itertools import groupby

from etl import layout
from etl.replay.difference import KEPT
from etl.shown import many

STATES = ("changed", "added", "removed", "relabelled", KEPT)


def text(found: dict) -> str:
    """The whole listing: totals and refusals before and after, then each partition that differs."""
    head = f"Replay of {found['stream']}, landed {found['from']} to {found['to']}"
    lines = [
        head,
        "=" * len(head),
        f"  reason       {found['reason']}",
        f"  read again   {many(len(found['objects']), 'object')}, {many(found['bytes'], 'byte')}",
        f"  builds       {', '.join(found['usage_dates']) or 'no usage date'}",
        *[f"  moved        since the dry run, {note}" for note in found.get("since_dry_run", ())],
        *_totals(found["totals"]),
        *_quarantine(found["quarantine"]),
        *_partitions(found["partitions"]),
        "",
        verdict(found),
    ]
    return "\n".join(lines)


def verdict(found: dict) -> str:
    """One line: what the replay does or did."""
    states = Counter(one["state"] for one in found["partitions"])
    differ = ", ".join(f"{states[one]} {one}" for one in STATES if states[one] and one != KEPT)
    if not differ:
        nothing = "nothing would change" if found["dry_run"] else "nothing changed"
        return (
            f"{nothing}: {many(states[KEPT], 'partition')} came out as in release {_release(found)}"
        )
    partitions = f"{differ}, {states[KEPT]} {KEPT}"
    if found["dry_run"]:
        return f"dry run on release {found['base']}: would publish one release: {partitions}"
    return f"published as release {found['release']}: {partitions}"


def summary(found: dict) -> dict:
    """What a task hands on: small, whatever the size of the listing."""
    states = Counter(one["state"] for one in found["partitions"])
    daily = [one for one in found["partitions"] if one["table"] == "usage_daily"]
    days = {
        layout.partition_values(one["partition"])["usage_date"]
        for one in daily
        if one["state"] != KEPT
    }
    return {
        "verdict": verdict(found),
        "release": _release(found),
        "partitions": dict(states),
        "usage_dates": sorted(days),
    }


def _release(found: dict) -> int:
    return found.get("release", found["base"])


def _totals(rows: list[dict]) -> list[str]:
    lines = ["", "totals, where they differ (old, new, difference; events)"] if rows else []
    same = 0
    for row in rows:
        if row["old_quantity"] == row["new_quantity"] and not row["events_difference"]:
            same += 1
            continue
        name = f"{row['usage_date']}  {row['meter']} {row['unit']}"
        amounts = (row["old_quantity"], row["new_quantity"], _signed(row["difference"]))
        events = f"events {_n(row['old_events'])}, {_n(row['new_events'])}"
        lines.append(
            f"  {name:<40}{'  '.join(f'{one:>22}' for one in map(_short, amounts))}  "
            f"{events}, {row['events_difference']:+,}"
        )
    return lines + ([f"  unchanged: {many(same, 'total')}"] if same else [])


def _quarantine(rows: list[dict]) -> list[str]:
    lines = ["", "refused records by reason (old, new, difference)"] if rows else []
    return lines + [
        f"  {row['reason']:<40}{_n(row['old']):>22}  {_n(row['new']):>22}  {row['new'] - row['old']:>+22,}"
        for row in rows
    ]


def _partitions(items: list[dict]) -> list[str]:
    lines = ["", "partitions (rows and bytes: old, new)"] if items else []
    for table, group in groupby(items, lambda one: one["table"]):
        mine = list(group)
        states = Counter(one["state"] for one in mine)
        counts = ", ".join(f"{states[one]} {one}" for one in STATES if states[one])
        lines.append(f"  {table}: {counts}")
        lines += [
            f"    {one['state']:<12}{one['partition']}: {_sizes(one['old'])} -> {_sizes(one['new'])}"
            for one in mine
            if one["state"] != KEPT
        ]
    return lines


def _sizes(sizes: dict | None) -> str:
    return f"{many(sizes['rows'], 'row')}, {many(sizes['bytes'], 'byte')}" if sizes else "none"


def _signed(quantity: str) -> str:
    return quantity if quantity.startswith("-") else f"+{quantity}"


def _short(quantity: str) -> str:
    """Without the zeros that follow the last decimal; every other digit stays."""
    return quantity.rstrip("0").rstrip(".") if "." in quantity else quantity


def _n(number: int) -> str:
    return f"{number:,}"
