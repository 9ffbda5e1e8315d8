"""The statement of a usage date as text for a terminal."""

from etl import shown

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
        f"  landed        {_n(landed['objects'])} objects{refused}, {_n(landed['records'])} records: "
        f"{_n(landed['accepted'])} accepted, {_n(landed['quarantined'])} quarantined"
    ]
    reasons = landed["quarantined_by_reason"]
    lines += [f"    {reason:<22}{_n(count):>12}" for reason, count in reasons.items()]
    return lines + _unread(landed["unread"])


def _unread(unread: list[dict]) -> list[str]:
    lost = [one for one in unread if one["reason"] == "lost"]
    waits = [one for one in unread if one["reason"] != "lost"]
    return [
        *_objects("  not read      {} objects, which a later run reads", waits),
        *_objects("  lost          {} objects, gone from landing unread", lost),
    ]


def _objects(head: str, some: list[dict]) -> list[str]:
    names = [f"    {shown.value(one['raw_object_key'])}{_why(one['reason'])}" for one in some]
    more = len(names) - SHOWN_OBJECTS
    rest = [f"    and {_n(more)} more"] if more > 0 else []
    return [head.format(_n(len(names))), *names[:SHOWN_OBJECTS], *rest] if names else []


def _why(reason: str) -> str:
    if reason == "lost":
        return ""
    return f" ({reason})" + (": its producer must deliver it again" if reason == "vanished" else "")


def _completeness(found: dict) -> list[str]:
    if found["evidence"] == "unknown":
        return ["  completeness  unknown: this source gives no evidence"]
    total = found["received"] + found["missing"]
    lines = [
        f"  completeness  {_n(found['received'])} of {_n(total)} records by contiguous sequence, "
        f"{_n(found['missing'])} missing"
    ]
    return lines + [
        f"    partition {gap['sequence_scope']}: {_n(gap['missing'])} from {gap['first_missing']} on, "
        f"before {shown.value(gap['raw_object_key'])}"
        for gap in found["gaps"]
    ]


def _usage(usage: dict) -> list[str]:
    lines = [
        f"  charged here  {_n(usage['records'])} records ({_n(usage['measures'])} measures), "
        f"{_n(usage['late'])} late, {_n(usage['sampled'])} sampled, {_n(usage['clamped'])} clamped, "
        f"{_n(usage['adjusts'])} adjusts"
    ]
    for row in usage["duplicates"]:
        differs = (
            f", {_q(row['difference_to_kept'])} against what is kept"
            if row["class"] == "conflict"
            else ""
        )
        lines.append(
            f"    {row['class']:<12}{_n(row['records']):>10} x {row['meter']}: "
            f"{_q(row['quantity'])} {row['unit']} kept out{differs}"
        )
    if usage["records_voided"] or usage["voids"]:
        lines.append(
            f"    {_n(usage['records_voided'])} records voided; {_n(usage['voids'])} voids stand here, "
            f"{_n(usage['voids_unmatched'])} of them without a known target"
        )
    return lines


def _total(row: dict) -> str:
    weighted = (
        f", weighted {_q(row['weighted_quantity'])} (an estimate)" if row["sampled_events"] else ""
    )
    return (
        f"  total         {row['meter']:<18}{_q(row['quantity']):>20} {row['unit']:<10}"
        f"{_n(row['events'])} events, {_n(row['tenants'])} tenants{weighted}"
    )


def _change(change: dict) -> list[str]:
    if change["kind"] == "not_published":
        return []
    if change["kind"] == "first":
        return [f"  changed       first published in release {change['release']}"]
    return [
        f"  changed       release {change['release']} replaces {change['replaces']}: {change['cause']}",
        *(
            f"    {row['meter']}: {_q(row['old_quantity'])} -> {_q(row['new_quantity'])} "
            f"{row['unit']} ({_q(row['difference'])})"
            for row in change["totals"]
        ),
    ]


def _n(count: int) -> str:
    return f"{count:,}"


def _q(quantity: str) -> str:
    """A quantity without the zeros that its scale adds."""
    return quantity.rstrip("0").rstrip(".") if "." in quantity else quantity
