"""The statement of a usage date as text for a terminal."""

from etl import shown
from etl.shown import count, many
from etl.statement.page import exact

SHOWN_OBJECTS = 10


def text(found: dict) -> str:
    head = f"Usage date {found['usage_date']} (UTC), release {found['release']}"
    parts = [part for one in found["streams"] for part in ("", *_stream(one))]
    return "\n".join(
        [
            head,
            "=" * len(head),
            *(parts or ["", "Nothing landed and nothing is charged to this day."]),
        ]
    )


def _stream(one: dict) -> list[str]:
    pending = "  (newer arrivals wait to be built)" if one["pending"] else ""
    lines = [f"{one['stream']}, contract {one['contract_version'] or '-'}{pending}"]
    lines += _landed(one["landed"]) + _completeness(one["completeness"]) + _usage(one["usage"])
    lines += [_total(row) for row in one["totals"]] or ["  total         nothing published"]
    lines += _change(one["change"])
    lines += [
        f"  validated     {table}: {where['docs']}" for table, where in one["validation"].items()
    ]
    return lines


def _landed(landed: dict) -> list[str]:
    refused = f", {landed['objects_refused']} refused whole" if landed["objects_refused"] else ""
    lines = [
        f"  landed        {many(landed['objects'], 'object')}{refused}, {many(landed['records'], 'record')}: "
        f"{count(landed['accepted'])} accepted, {count(landed['quarantined'])} quarantined"
    ]
    reasons = landed["quarantined_by_reason"]
    lines += [f"    {reason:<22}{count(n):>12}" for reason, n in reasons.items()]
    return lines + _unread(landed["unread"])


def _unread(unread: list[dict]) -> list[str]:
    lost = [one for one in unread if one["reason"] == "lost"]
    waits = [one for one in unread if one["reason"] != "lost"]
    return [
        *_objects("  not read      {}, for a later run to read", waits),
        *_objects("  lost          {}, gone from landing unread", lost),
    ]


def _objects(head: str, some: list[dict]) -> list[str]:
    names = [f"    {shown.value(one['raw_object_key'])}{_why(one['reason'])}" for one in some]
    more = len(names) - SHOWN_OBJECTS
    rest = [f"    and {count(more)} more"] if more > 0 else []
    return [head.format(many(len(names), "object")), *names[:SHOWN_OBJECTS], *rest] if names else []


def _why(reason: str) -> str:
    if reason == "lost":
        return ""
    return f" ({reason})" + (": its producer must deliver it again" if reason == "vanished" else "")


def _completeness(found: dict) -> list[str]:
    if found["evidence"] == "unknown":
        return ["  completeness  unknown: this source gives no evidence"]
    total = found["received"] + found["missing"]
    lines = [
        f"  completeness  {count(found['received'])} of {count(total)} records by contiguous sequence, "
        f"{count(found['missing'])} missing"
    ]
    return lines + [
        f"    partition {gap['sequence_scope']}: {count(gap['missing'])} from {gap['first_missing']} on, "
        f"before {shown.value(gap['raw_object_key'])}"
        for gap in found["gaps"]
    ]


def _usage(usage: dict) -> list[str]:
    lines = [
        f"  charged here  {many(usage['records'], 'record')} ({many(usage['measures'], 'measure')}), "
        f"{count(usage['late'])} late, {count(usage['sampled'])} sampled, {count(usage['clamped'])} clamped, "
        f"{count(usage['adjusts'])} adjusts"
    ]
    for row in usage["duplicates"]:
        differs = (
            f", {exact(row['difference_to_kept'])} against what is kept"
            if row["class"] == "conflict"
            else ""
        )
        lines.append(
            f"    {row['class']:<12}{count(row['records']):>10} x {row['meter']}: "
            f"{exact(row['quantity'])} {row['unit']} kept out{differs}"
        )
    if usage["records_voided"] or usage["voids"]:
        lines.append(
            f"    {many(usage['records_voided'], 'record')} voided; {many(usage['voids'], 'void')} here, "
            f"{count(usage['voids_unmatched'])} of them without a known target"
        )
    return lines


def _total(row: dict) -> str:
    weighted = (
        f", weighted {exact(row['weighted_quantity'])} (an estimate)"
        if row["sampled_events"]
        else ""
    )
    tenants = many(row["tenants"], "tenant") if row["tenants"] else "no tenant known"
    return (
        f"  total         {row['meter']:<18}{exact(row['quantity']):>20} {row['unit']:<10}"
        f"{many(row['events'], 'event')}, {tenants}{weighted}"
    )


def _change(change: dict) -> list[str]:
    if change["kind"] == "not_published":
        return []
    if change["kind"] == "first":
        return [f"  changed       first published in release {change['release']}"]
    return [
        f"  changed       release {change['release']} replaces {change['replaces']}: {change['cause']}",
        *(
            f"    {row['meter']}: {exact(row['old_quantity'])} -> {exact(row['new_quantity'])} "
            f"{row['unit']} ({exact(row['difference'])})"
            for row in change["totals"]
        ),
    ]
