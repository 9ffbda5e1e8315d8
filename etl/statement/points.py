"""What in a statement asks for somebody's attention, as sentences."""

from etl.shown import count, many


def points(found: dict) -> list[tuple[str, str]]:
    """Stream and sentence, in the order of the streams."""
    return [(one["stream"], says) for one in found["streams"] for says in _of(one)]


def _of(one: dict) -> list[str]:
    landed, usage = one["landed"], one["usage"]
    missing = one["completeness"]["missing"]
    said = {
        "newer arrivals wait to be built; the totals are from before them": one["pending"],
        "records are charged to the day, but nothing is published": (
            usage["records"] and one["change"]["kind"] == "not_published" and not one["pending"]
        ),
        f"{many(missing or 0, 'record')} missing in the sequence of what landed": missing,
        f"{many(len(landed['unread']), 'object')} not read: {_reasons(landed['unread'])}": landed[
            "unread"
        ],
        f"{many(landed['objects_refused'], 'object')} refused whole": landed["objects_refused"],
        f"{many(landed['quarantined'], 'record')} of {count(landed['records'])} in quarantine": landed[
            "quarantined"
        ],
        f"{many(usage['conflicts'], 'record')} with another content than the one that was kept": usage[
            "conflicts"
        ],
        f"{many(usage['voids_unmatched'], 'void')} without a known target": usage[
            "voids_unmatched"
        ],
    }
    return [says for says, holds in said.items() if holds] + _violated(one) + _changed(one)


def _reasons(unread: list[dict]) -> str:
    return ", ".join(sorted({one["reason"] for one in unread}))


def _violated(one: dict) -> list[str]:
    return [
        f"{table}: expectation {rule['rule']} is violated ({rule['severity']}, {many(rule['violations'], 'row')})"
        for table, where in one["validation"].items()
        for rule in where["rules"]
        if not rule["success"]
    ]


def _changed(one: dict) -> list[str]:
    change = one["change"]
    if change["kind"] != "restated":
        return []
    return [f"published totals changed in release {change['release']}: {change['cause']}"]
