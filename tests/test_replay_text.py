"""The listing of a replay as text: what differs is shown whole, what does not is counted."""

from etl.replay.text import summary, text, verdict

SIZES = {"rows": 1200, "bytes": 34567, "sha256": ["a"]}
FOUND = {
    "stream": "app_usage",
    "from": "2026-11-18",
    "to": "2026-11-19",
    "reason": "unit was wrong",
    "dry_run": True,
    "base": 12,
    "objects": {"a": "1", "b": "2"},
    "bytes": 123456,
    "usage_dates": ["2026-11-18"],
    "partitions": [],
    "totals": [],
    "quarantine": [],
}


def partition(state: str, old=SIZES, new=SIZES, name: str = "usage_date=2026-11-18") -> dict:
    sizes = {"old": old, "new": new}
    return {"table": "usage_daily", "partition": name, "state": state} | sizes


def total(old: str, new: str, difference: str, events: int = 0) -> dict:
    day = {"usage_date": "2026-11-18", "meter": "api_calls", "unit": "Requests"}
    quantities = {"old_quantity": old, "new_quantity": new, "difference": difference}
    counts = {"old_events": 1000, "new_events": 1000 + events, "events_difference": events}
    return day | quantities | counts


def test_partitions_that_differ_are_listed_and_others_counted():
    made = [
        partition("kept"),
        partition("changed"),
        partition("removed", new=None),
        partition("relabelled"),
    ]

    shown = text(FOUND | {"partitions": made}).split("partitions (rows and bytes: old, new)\n")[1]

    assert shown.splitlines()[:4] == [
        "  usage_daily: 1 changed, 1 removed, 1 relabelled, 1 kept",
        "    changed     usage_date=2026-11-18: 1,200 rows, 34,567 bytes -> 1,200 rows, 34,567 bytes",
        "    removed     usage_date=2026-11-18: 1,200 rows, 34,567 bytes -> none",
        "    relabelled  usage_date=2026-11-18: 1,200 rows, 34,567 bytes -> 1,200 rows, 34,567 bytes",
    ]
    assert shown.splitlines()[-1] == (
        "dry run on release 12: would publish one release: 1 changed, 1 removed, 1 relabelled, 1 kept"
    )


def test_every_digit_of_a_difference_is_shown():
    rows = [
        total("100.000000000", "99.000000001", "-0.999999999", -1),
        total("1.000000000", "1.000000000", "0.000000000"),
        total("1.000000000", "1.000000000", "0.000000000", 2),
    ]

    shown = text(FOUND | {"totals": rows})

    lines = [" ".join(line.split()) for line in shown.splitlines()]
    name = "2026-11-18 api_calls Requests"
    assert f"{name} 100 99.000000001 -0.999999999 events 1,000, 999, -1" in lines
    assert f"{name} 1 1 +0 events 1,000, 1,002, +2" in lines
    assert "unchanged: 1 total" in lines


def test_refusals_and_what_moved_are_told():
    refused = [{"reason": "too_late", "old": 2, "new": 0}]

    shown = text(FOUND | {"quarantine": refused, "since_dry_run": ["the lake moved"]})

    assert ["too_late", "2", "0", "-2"] in [line.split() for line in shown.splitlines()]
    assert "  moved        since the dry run, the lake moved" in shown


def test_nothing_would_change_is_said_in_words():
    kept = FOUND | {"partitions": [partition("kept")]}

    assert verdict(kept) == "nothing would change: 1 partition came out as in release 12"
    done = kept | {"dry_run": False, "release": 14}
    assert verdict(done) == "nothing changed: 1 partition came out as in release 14"
    changed = done | {"partitions": [partition("changed")]}
    assert verdict(changed) == "published as release 14: 1 changed, 0 kept"


def test_the_summary_names_the_dates_whose_totals_differ():
    made = [partition("kept", name="usage_date=2026-11-17"), partition("changed")]

    assert summary(FOUND | {"partitions": made}) == {
        "verdict": "dry run on release 12: would publish one release: 1 changed, 1 kept",
        "release": 12,
        "partitions": {"kept": 1, "changed": 1},
        "usage_dates": ["2026-11-18"],
    }
