"""The figures of a statement's page: a plot with its numbers beside it, or a table; None where there is nothing."""

from decimal import Decimal

from etl.reasons import REASONS
from etl.shown import count, many
from etl.statement.page import (
    Bar,
    Html,
    bars,
    columns,
    exact,
    named,
    plot_with_table,
    share,
    short,
    table,
    tag,
)

STEPS = {900: "15 min", 3600: "1 h", 21600: "6 h", 86400: "24 h", 172800: "2 d", 604800: "7 d"}
UNREAD = ["object", "reason", "meaning"]
CLASSES = {
    "re_delivery": "the same record again",
    "re_stamped": "the same but for its time",
    "conflict": "another content under the same identity",
}


def meter(total: dict, by_tenant: list[dict]) -> Html:
    """One meter: its exact total, and who used it."""
    mine = [
        row for row in by_tenant if (row["meter"], row["unit"]) == (total["meter"], total["unit"])
    ]
    whole = Decimal(total["quantity"])
    weighted = bool(total["sampled_events"])
    says = f"{exact(total['quantity'])} {total['unit']} in {many(total['events'], 'event')}"
    if weighted:
        says += f"; weighted {exact(total['weighted_quantity'])}, an estimate"
    drawn = [
        Bar(_tenant(row), Decimal(row["quantity"]), share(Decimal(row["quantity"]), whole))
        for row in mine
    ]
    listed = [
        [
            named(_tenant(row)),
            exact(row["quantity"]),
            *([exact(row["weighted_quantity"])] if weighted else []),
            count(row["events"]),
        ]
        for row in mine
    ]
    weight = ["weighted"] if weighted else []
    numbers = table(f"in {total['unit']}", ["tenant", "quantity", *weight, "events"], listed)
    head = [named(total["meter"]), tag("span", f" {says}", class_="muted")]
    return plot_with_table(head, bars(f"{total['meter']} by tenant", drawn), numbers)


def _tenant(row: dict) -> str:
    return many(row["tenants"], "other tenant") if row["tenant_id"] is None else row["tenant_id"]


def changes(change: dict) -> Html | None:
    if not change["totals"]:
        return None
    listed = [
        [
            named(f"{row['meter']}, {row['unit']}"),
            *(exact(row[name]) for name in ("old_quantity", "new_quantity", "difference")),
        ]
        for row in change["totals"]
    ]
    says = f"release {change['release']} replaces {change['replaces']}: {change['cause']}"
    return tag(
        "figure",
        tag("figcaption", "What the last publication changed"),
        table(says, ["meter", "before", "after", "difference"], listed),
    )


def delays(steps: list[dict]) -> Html | None:
    if not steps:
        return None
    whole = sum(step["records"] for step in steps)
    drawn = [
        Bar(_short_step(step), Decimal(step["records"]), short(step["records"])) for step in steps
    ]
    listed = [
        [
            _step(step),
            count(step["records"]),
            share(Decimal(step["records"]), Decimal(whole)),
        ]
        for step in steps
    ]
    return plot_with_table(
        "Arrivals by delay, from event to delivery",
        columns("Records by the time from event to delivery", drawn),
        table(f"of {many(whole, 'record')}", ["delay", "records", "share"], listed),
    )


def _step(step: dict) -> str:
    start, end = step["from_seconds"], step["to_seconds"]
    if end is None:
        return f"{_time(start)} or more"
    return f"{_time(start)} to {_time(end)}" if start else f"less than {_time(end)}"


def _short_step(step: dict) -> str:
    end = step["to_seconds"]
    return f"<{_time(end)}" if end else f"{_time(step['from_seconds'])}+"


def _time(seconds: int) -> str:
    return STEPS.get(seconds, f"{count(seconds)} s")


def duplicates(rows: list[dict]) -> Html | None:
    if not rows:
        return None
    sums: dict[str, int] = {}
    for row in rows:
        sums[row["class"]] = sums.get(row["class"], 0) + row["records"]
    drawn = [Bar(kind, Decimal(n), short(n)) for kind, n in sums.items()]
    listed = [
        [
            tag("span", row["class"], title=CLASSES.get(row["class"])),
            named(row["meter"]),
            count(row["records"]),
            f"{exact(row['quantity'])} {row['unit']}",
            f"{exact(row['difference_to_kept'])} {row['unit']}",
        ]
        for row in rows
    ]
    head = ["class", "meter", "measures", "kept out", "against what is kept"]
    return plot_with_table(
        "Repeats that were kept out",
        bars("Repeats by class", drawn),
        table("an identity counts once, by its first delivery", head, listed, texts=2),
    )


def quarantine(reasons: dict[str, int]) -> Html | None:
    if not reasons:
        return None
    ordered = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))
    drawn = [Bar(reason, Decimal(n), short(n)) for reason, n in ordered]
    listed = [[named(reason), REASONS.get(reason, ""), count(n)] for reason, n in ordered]
    return plot_with_table(
        "Quarantine by reason, of what landed on the day",
        bars("Rows in quarantine by reason", drawn),
        table("rows of the table quarantine", ["reason", "meaning", "rows"], listed, texts=2),
    )


def unread(objects: list[dict]) -> Html | None:
    if not objects:
        return None
    listed = [
        [named(one["raw_object_key"]), named(one["reason"]), REASONS.get(one["reason"], "")]
        for one in objects
    ]
    return tag(
        "figure",
        tag("figcaption", "Objects that could not be read"),
        table(
            "nothing new of them is counted; a later run reads those that are there",
            UNREAD,
            listed,
            texts=3,
        ),
    )


def gaps(gaps: list[dict]) -> Html | None:
    if not gaps:
        return None
    listed = [
        [
            named(gap["sequence_scope"]),
            named(gap["raw_object_key"]),
            gap["first_missing"],
            count(gap["missing"]),
        ]
        for gap in gaps
    ]
    head = ["sequence of", "before object", "first missing", "missing"]
    return tag(
        "figure",
        tag("figcaption", "Sequence numbers that no object holds"),
        table("gaps in front of an object that landed on the day", head, listed, texts=2),
    )


def validation(found: dict) -> Html | None:
    if not found:
        return None
    rules = [(name, rule) for name, where in found.items() for rule in where["rules"]]
    held = sum(rule["success"] for _, rule in rules)
    listed = [
        [
            named(f"{name}: {rule['rule']}"),
            rule["severity"],
            "held" if rule["success"] else "violated",
            count(rule["violations"]),
        ]
        for name, rule in rules
    ]
    head = ["expectation", "severity", "result", "violations"]
    results = [tag("p", name, ": ", tag("code", where["results"])) for name, where in found.items()]
    return tag(
        "details",
        tag("summary", f"Expectations: {held} of {len(rules)} held"),
        table("judged before publication", head, listed, texts=3),
        results,
    )
