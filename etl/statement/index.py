"""The list of all usage dates as one self-contained HTML page, from what a release says of its partitions."""

from collections.abc import Collection, Iterable
from itertools import groupby

from etl.layout import partition_values
from etl.release import Release
from etl.shown import count, many
from etl.statement.page import Html, document, moment, table, tag

UNREAD, WAITS = "objects not read", "waits to be built"
DATES = {"usage_event": "usage_date", "quarantine": "landed_date", "manifest": "landed_date"}


def page(release: Release, written: Collection[str]) -> str:
    """A row for each day that anything landed on or is charged to; days in `written` have a page."""
    days = _days(release)
    months = groupby(sorted(days, reverse=True), key=lambda day: day[:7])
    listed = [_month(month, [(d, days[d]) for d in of], written) for month, of in months]
    head = ["usage date", "state", "events", "quarantined"]
    return document(
        "Usage statements",
        tag(
            "main",
            tag("h1", "Usage statements"),
            tag("p", _says(release, len(days)), class_="muted"),
            [
                tag(
                    "section",
                    tag("h2", month),
                    table("days in UTC, the newest first", head, rows, texts=2),
                )
                for month, rows in listed
            ],
            class_="list",
        ),
    )


def _says(release: Release, days: int) -> str:
    if not release.number:
        return "Nothing is published yet."
    return f"{many(days, 'day')} as of release {release.number}, made {moment(release.body['created_at'])}."


def _days(release: Release) -> dict[str, dict]:
    found: dict[str, dict] = {}
    for table_name, column in DATES.items():
        for name, entry in release.partitions(table_name).items():
            values = partition_values(name)
            day = found.setdefault(values[column], _nothing())
            day[table_name] += sum(file["rows"] for file in entry["files"])
    for name in release.partitions("restatement"):
        found.setdefault(partition_values(name)["usage_date"], _nothing())["states"].add("restated")
    for name in release.partitions("unread"):
        found.setdefault(partition_values(name)["landed_date"], _nothing())["states"].add(UNREAD)
    for name in release.pending:
        found.setdefault(name.split("/")[1], _nothing())["states"].add(WAITS)
    return found


def _nothing() -> dict:
    return {"states": set()} | dict.fromkeys(DATES, 0)


def _month(
    month: str, days: Iterable[tuple[str, dict]], written: Collection[str]
) -> tuple[str, list[list]]:
    return month, [
        [
            tag("a", day, href=f"{day}.html") if day in written else day,
            _state(one),
            *(count(one[name]) for name in ("usage_event", "quarantine")),
        ]
        for day, one in days
    ]


def _state(day: dict) -> Html:
    said = sorted(day["states"]) or (["published"] if day["usage_event"] else ["nothing charged"])
    if not day["manifest"]:
        said.append("nothing landed")
    warn = day["states"] & {UNREAD, WAITS}
    return tag("span", ", ".join(said), class_="state warn" if warn else "state")
