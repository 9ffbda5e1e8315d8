"""The same landing gives the same lake, whatever came when: built step by step, with objects that came late, were
written again or swapped, corrections and replays, it holds the bytes of one that was built at once."""

import re
import shutil
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from etl.replay import replay
from etl.settings import ROOT
from tests.conftest import Lake
from tests.events import adjust, evening, event, key, lines, void

pytestmark = pytest.mark.usefixtures("quick_judge")
DAYS = [date(2026, 11, day) for day in (17, 18, 19, 20)]
LANDED = DAYS[2:]
KEYS = [key(DAYS[3], offset=100), key(DAYS[2]), key(DAYS[3], 1, 50)]
WIDE = [date(2026, 11, day) for day in range(12, 18)]  # more than a window of two days reaches
RUNS = WIDE[2::3]
OF_A_HISTORY = {"restatement", "unread"}  # tables that tell what was before
Objects = dict[str, list[dict]]


@dataclass(frozen=True)
class History:
    window: int  # days of the look-back window
    delivered: dict[str, datetime]
    rounds: list[Objects]  # what was put before each run
    replayed: list[date]  # under the contract that holds now; another one held before


LATER = datetime(2026, 11, 21, 0, 1)
AT_ONCE = dict.fromkeys(KEYS, datetime(2026, 11, 21))


def at(day: int) -> str:
    return f"2026-11-{day}T09:00:00Z"


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(
            lambda: History(
                35,
                AT_ONCE | {KEYS[0]: LATER},
                [{KEYS[1]: [measured("a", 1, 5, at(18))], KEYS[0]: [measured("a", 1, 5, at(19))]}],
                LANDED[::-1],
            ),
            id="the record that is kept is read anew after its repeat",
        ),
        pytest.param(
            lambda: History(
                35,
                AT_ONCE | {KEYS[1]: LATER},
                [
                    {
                        KEYS[0]: [measured("a", 1, 1, at(17))],
                        KEYS[2]: [measured("a", 1, 1, at(18)), measured("w", 1, 1, at(15))],
                        KEYS[1]: [
                            measured("a", 1, 1, at(19)),
                            measured("q", 1, 1, at(16)),
                            void("q", "v", at(18)),
                        ],
                    },
                    {
                        KEYS[0]: [measured("a", 1, 1, at(18)), measured("v", 1, 1, at(17))],
                        KEYS[2]: [measured("a", 1, 1, at(17))],
                    },
                ],
                [],
            ),
            # of one delivery; with what is new a void loses its identity, and a date loses all that arrived for it
            id="two objects change places",
        ),
        pytest.param(
            lambda: History(
                2,
                {key(day): evening(day) for day in WIDE},
                [
                    {
                        key(WIDE[5]): [measured("a", 1, 1, at(17)), measured("b", 5, 5, at(17))],
                        key(WIDE[3]): [void("a", "v", at(14))],
                    },
                    {key(WIDE[0]): [measured("v", 1, 1, at(12))]},
                ],
                [],
            ),
            # the date of what it would cancel does not see the claim, and the claim came last
            id="the identity of a void came first, far from its target",
        ),
    ],
)
def test_a_history_leaves_no_trace(told, object_store, tmp_path, monkeypatch):
    expect_no_trace(told(), object_store, tmp_path, monkeypatch)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(200))
def test_no_history_leaves_a_trace(seed, object_store, tmp_path, monkeypatch):
    expect_no_trace(history(seed), object_store, tmp_path, monkeypatch)


def expect_no_trace(told: History, object_store, tmp_path: Path, monkeypatch) -> None:
    contract = contracts(tmp_path, monkeypatch)
    now = contract.read_text().replace("window_days: 35", f"window_days: {told.window}")
    before = now.replace("physicalName: $.data.quantity", "physicalName: $.data.qty")
    landing: Objects = {}
    contract.write_text(before if told.replayed else now)
    lake = Lake(object_store, f"{tmp_path.name}-stepwise", monkeypatch)
    for put in told.rounds:
        landing |= put
        ingest(lake, told, put)
    contract.write_text(now)
    for day in told.replayed:
        replay.replay("app_usage", day, day, "read anew", False, f"replay-{day}", lambda _: None)
    stepwise = content(lake)

    lake = Lake(object_store, f"{tmp_path.name}-at-once", monkeypatch)
    ingest(lake, told, landing)

    assert stepwise == content(lake)
    expect_what_counts(lake, told, landing)


def contracts(folder: Path, monkeypatch) -> Path:
    """A copy that may be altered; returns the file of app_usage."""
    copy = shutil.copytree(ROOT / "contracts", folder / "contracts")
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(copy))
    return copy / "app_usage/1.0.0.yaml"


def ingest(lake: Lake, told: History, put: Objects) -> None:
    for one, some in put.items():
        lake.land(one, lines(*some), told.delivered[one])
    for day in RUNS if told.window == 2 else LANDED[-1:]:  # its look-back window holds the others
        if any(0 <= (day - landed(one)).days <= told.window for one in put):
            lake.run("app_usage", day)


def content(lake: Lake) -> dict[str, list[str]]:
    """sha256 of every partition, but of what tells a history."""
    return {
        f"{table}/{name}": [file["sha256"] for file in entry["files"]]
        for table, partitions in lake.release().body["tables"].items()
        if table not in OF_A_HISTORY
        for name, entry in partitions.items()
    }


def expect_what_counts(lake: Lake, told: History, landing: Objects) -> None:
    order = sorted(landing, key=lambda one: (told.delivered[one], one))
    found = lake.rows(
        "SELECT usage_date::VARCHAR AS day, sum(quantity)::DECIMAL(38,9) AS q "
        "FROM usage_daily GROUP BY ALL"
    )
    counts = counting([record for one in order for record in landing[one]], told.window + 1)
    assert {row["day"]: row["q"] for row in found} == counts
    (tally,) = lake.rows("""
        SELECT sum(rows_in - rows_out - rows_duplicate - rows_voided - rows_void) AS rows_lost,
            sum(quantity_in - quantity_out - quantity_duplicate - quantity_voided) AS quantity_lost
        FROM tally WHERE stage = 'deduplicate'""")
    assert not tally["rows_lost"] and not tally["quantity_lost"]


def landed(one: str) -> date:
    """The date in its key."""
    return date(*map(int, re.findall(r"=(\d+)", one)))


def counting(delivered: list[dict], reach: int) -> dict[str, int]:
    """Totals by date. Records repeat or cancel one another where they count so many days apart at most."""

    def near(one: dict, other: dict) -> bool:
        days = [date.fromisoformat(each["time"][:10]) for each in (one, other)]
        return max(days) - min(days) <= timedelta(reach)

    def first(one: dict, id: str) -> dict | None:
        return next((other for other in delivered if other["id"] == id and near(one, other)), None)

    voids = [one for one in delivered if "voids" in one["data"] and first(one, one["id"]) is one]
    totals: dict[str, int] = {}
    for one in delivered:
        if "voids" in one["data"] or first(one, one["id"]) is not one:
            continue
        adjusted = one["data"].get("adjusts", {}).get("id")
        target = first(one, adjusted) if adjusted else None
        if any(
            near(one, void)
            and (
                void["data"]["voids"]["id"] == one["id"]
                or (void["data"]["voids"]["id"] == adjusted and (not target or near(target, void)))
            )
            for void in voids
        ):
            continue
        totals[one["time"][:10]] = totals.get(one["time"][:10], 0) + one["data"]["quantity"]
    return totals


def history(seed: int) -> History:
    random = Random(seed)
    return short(random) if seed % 2 else long(random)


def long(random: Random) -> History:
    """All dates lie in the window of one another, and objects of one delivery at that."""
    delivered = {one: datetime(2026, 11, 21, 0, random.choice((0, 0, 1))) for one in KEYS}
    rounds: list[Objects] = []
    for n in range(random.randint(2, 3)):
        before = {one: some for put in rounds for one, some in put.items()}
        if len(before) > 1 and random.random() < 0.4:
            one, other = random.sample(sorted(before), 2)
            rounds.append({one: before[other], other: before[one]})
        else:
            some = random.sample(KEYS, random.randint(1, 2 if n else 3))
            rounds.append({one: records(random, DAYS, 4) for one in some})
    replayed = random.sample(LANDED, 2) if random.random() < 0.4 else []
    return History(35, delivered, rounds, replayed)


def short(random: Random) -> History:
    """Dates lie up to four windows apart, each object is delivered on its own: a chain of corrections links dates
    that do not see one another."""
    keys = [key(day, offset=offset) for day in WIDE for offset in (0, 100)]
    delivered = {one: evening(landed(one)) for one in keys}
    rounds: list[Objects] = []
    for most in (4, 1):
        some = random.sample(keys, most)
        rounds.append(
            {one: records(random, [landed(one), landed(one) - timedelta(1)], 3) for one in some}
        )
    dates = sorted({landed(one) for put in rounds for one in put})
    replayed = random.sample(dates, len(dates)) if random.random() < 0.2 else []
    return History(2, delivered, rounds, replayed)


def records(random: Random, days: list[date], most: int) -> list[dict]:
    return [record(random, days) for _ in range(random.randint(0, most))]


def record(random: Random, days: list[date]) -> dict:
    at = f"{random.choice(days)}T{random.choice(('09', '10'))}:00:00Z"
    kind = random.random()
    if kind < 0.3:
        return void(random.choice("ab"), random.choice("vvwab"), at)
    if kind < 0.45:
        return adjust(random.choice("ab"), random.randint(-3, 3), random.choice("xva"), at)
    return measured(random.choice("abv"), random.randint(1, 2), random.choice((1, 5)), at)


def measured(id: str, quantity: int, before: int, at: str) -> dict:
    """An event of which the contract that held before read another quantity."""
    return event(id, at=at, data={"quantity": quantity, "qty": before, "feature": "core"})
