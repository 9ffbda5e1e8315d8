"""The statement of a usage date as one self-contained HTML page: numbers exact as text, plots beside them."""

from etl.shown import count, many
from etl.statement import figures
from etl.statement.page import Html, document, moment, named, tag
from etl.statement.points import points


def page(found: dict, among_others: bool) -> str:
    """`among_others`: it lies beside the list of all pages, and links to it."""
    links = [("index.html", "All days")] if among_others else []
    links += [(f"#{one['stream']}", one["stream"]) for one in found["streams"]]
    return document(
        f"Usage statement {found['usage_date']}",
        tag("nav", [tag("a", text, href=href) for href, text in links], aria_label="Pages"),
        tag("main", _head(found), [_stream(one) for one in found["streams"]]),
        _foot(found),
    )


def _head(found: dict) -> list[Html | None]:
    made = f"As of release {found['release']}, made {moment(found['released_at'] or '')}."
    return [
        tag("h1", f"Usage statement, {found['usage_date']} (UTC)"),
        tag("p", made if found["release"] else "Nothing is published yet.", class_="muted"),
        _tiles(found["streams"]) if found["streams"] else None,
        _notice(points(found)),
    ]


def _tiles(streams: list[dict]) -> Html:
    known = [one["completeness"]["missing"] for one in streams]
    missing = [n for n in known if n is not None]
    where = f"records missing, as far as known: {len(missing)} of {many(len(known), 'stream')}"
    tiles = {
        "events charged to the day": [row["events"] for one in streams for row in one["totals"]],
        "of these, without a tenant": [
            row["unattributed_events"] for one in streams for row in one["totals"]
        ],
        "measures kept out as repeats": [
            row["records"] for one in streams for row in one["usage"]["duplicates"]
        ],
        "records delivered after the day": [one["usage"]["late"] for one in streams],
        "records landed on the day": [one["landed"]["records"] for one in streams],
        "of these, in quarantine": [one["landed"]["quarantined"] for one in streams],
    }
    shown = {says: count(sum(numbers)) for says, numbers in tiles.items()}
    shown[where] = count(sum(missing)) if missing else "unknown"
    listed = [tag("li", tag("b", n), tag("span", says)) for says, n in shown.items()]
    return tag("ul", listed, class_="tiles")


def _notice(found: list[tuple[str, str]]) -> Html:
    if not found:
        return tag("p", "Nothing here asks for attention.", class_="notice quiet")
    listed = [
        tag("li", tag("a", named(stream), href=f"#{stream}"), f": {says}") for stream, says in found
    ]
    return tag("div", tag("b", "Look at this"), tag("ul", listed), class_="notice")


def _stream(one: dict) -> Html:
    version = one["contract_version"]
    return tag(
        "section",
        tag("h2", named(one["stream"])),
        tag("p", f"contract {version}" if version else "no arrivals", class_="muted"),
        _facts(one),
        [figures.meter(total, one["by_tenant"]) for total in one["totals"]],
        figures.changes(one["change"]),
        figures.delays(one["usage"]["delays"]),
        figures.duplicates(one["usage"]["duplicates"]),
        figures.quarantine(one["landed"]["quarantined_by_reason"]),
        figures.unread(one["landed"]["unread"]),
        figures.gaps(one["completeness"]["gaps"]),
        figures.validation(one["validation"]),
        id=one["stream"],
    )


def _facts(one: dict) -> Html:
    landed, usage = one["landed"], one["usage"]
    refused = f", {count(landed['objects_refused'])} refused whole"
    voided = (
        f"{many(usage['records_voided'], 'record')} voided; {many(usage['voids'], 'void')} on the day, "
        f"{count(usage['voids_unmatched'])} without a known target"
    )
    facts = {
        "Published": _published(one["change"]),
        "Charged to the day": f"{many(usage['records'], 'record')}, {many(usage['measures'], 'measure')}, "
        f"whenever they arrived: {count(usage['late'])} late, {count(usage['sampled'])} sampled, "
        f"{count(usage['clamped'])} clamped, {many(usage['adjusts'], 'adjust')}",
        "Voids": voided if usage["records_voided"] or usage["voids"] else "none",
        "Landed on the day": f"{many(landed['objects'], 'object')}"
        f"{refused if landed['objects_refused'] else ''}; {many(landed['records'], 'record')} = "
        f"{count(landed['accepted'])} accepted + {count(landed['quarantined'])} quarantined",
        "Completeness": _completeness(one["completeness"]),
    }
    return tag("dl", [[tag("dt", name), tag("dd", says)] for name, says in facts.items()])


def _published(change: dict) -> str:
    if change["kind"] == "not_published":
        return "nothing yet"
    if change["kind"] == "first":
        return f"first in release {change['release']}, not changed since"
    return f"release {change['release']} replaces {change['replaces']}: {change['cause']}"


def _completeness(found: dict) -> str:
    if found["evidence"] == "unknown":
        return "unknown: this source gives no evidence"
    whole = found["received"] + found["missing"]
    return (
        f"{count(found['received'])} of {many(whole, 'record')} by contiguous sequence, "
        f"{count(found['missing'])} missing"
    )


def _foot(found: dict) -> Html:
    command = f"usage-export statement --usage-date {found['usage_date']} --json"
    return tag(
        "footer",
        tag("p", f"Release {found['release']}, sha256 ", tag("code", found["release_sha256"])),
        tag("p", "The same numbers for programs: ", tag("code", command)),
    )
