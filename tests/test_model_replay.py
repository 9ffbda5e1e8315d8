"""report/replay_*: what a replay changes, over literal rows of before and after."""

from etl import tables
from tests.models import DAY, NEXT, Rows, daily, rows_of, run

TOKENS = {"meter": "llm_tokens", "unit": "Tokens"}


def compared(published: Rows, replayed: Rows) -> Rows:
    given = {"published_daily": published, "replayed_daily": replayed}
    tabled = {name: rows_of(tables.USAGE_DAILY, rows) for name, rows in given.items()}
    return run("report/replay_total", tabled)


def refused(published: str, replayed: str) -> Rows:
    given = {"published_quarantine": published, "replayed_quarantine": replayed}
    rows = {
        name: rows_of(tables.QUARANTINE, [refusal(n, one) for n, one in enumerate(reasons.split())])
        for name, reasons in given.items()
    }
    return run("report/replay_quarantine", rows)


def refusal(line: int, reason: str) -> dict:
    texts = dict.fromkeys(tables.QUARANTINE.sql_columns, "x")
    return texts | {
        "landed_date": DAY,
        "reason": reason,
        "raw_line": line,
        "delivered_at": None,
        "event_time": None,
        "quantities": [],
    }


def test_totals_are_compared_by_day_meter_and_unit_over_all_tenants():
    old = [daily(5), daily(2, tenant_id="t-2", events=3), daily("0.000000001", usage_date=NEXT)]
    new = [daily("5.5"), daily(2, tenant_id="t-2", events=3), daily(9, **TOKENS)]

    names = ("usage_date", "meter", "old_quantity", "new_quantity", "difference", "old_events")
    assert [tuple(row[name] for name in names) for row in compared(old, new)] == [
        ("2026-11-18", "api_calls", "7.000000000", "7.500000000", "0.500000000", 4),
        ("2026-11-18", "llm_tokens", "0.000000000", "9.000000000", "9.000000000", 0),
        ("2026-11-19", "api_calls", "0.000000001", "0.000000000", "-0.000000001", 1),
    ]
    events = [(row["new_events"], row["events_difference"]) for row in compared(old, new)]
    assert events == [(4, 0), (1, 1), (0, -1)]


def test_an_exact_difference_of_large_totals_keeps_every_digit():
    (row,) = compared([daily("12345678901234567890.000000001")], [daily("1e-9")])

    assert row["difference"] == "-12345678901234567890.000000000"


def test_refusals_are_compared_by_reason():
    assert refused("too_late too_late not_json", "not_json no_identity") == [
        {"reason": "no_identity", "old": 0, "new": 1},
        {"reason": "not_json", "old": 1, "new": 1},
        {"reason": "too_late", "old": 2, "new": 0},
    ]
    assert refused("", "") == []
