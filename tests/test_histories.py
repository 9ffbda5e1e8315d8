"""The same landing gives the same lake, whatever came when: built step by step, with objects that came late, were
written again or swapped, corrections and replays, it holds the bytes of one that was built at once."""

import shutil
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from random import Random

import pytest

from etl.replay import replay
from etl.settings import ROOT
from tests.conftest import Lake
from tests.events import adjust, event, key, lines, void
from tests.test_laws import expected

pytestmark = pytest.mark.usefixtures("quick_judge")
DAYS = [date(2026, 11, day) for day in (17, 18, 19, 20)]
LANDED = DAYS[2:]
KEYS = [key(DAYS[3], offset=100), key(DAYS[2]), key(DAYS[3], 1, 50)]
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
    ],
)
def test_a_history_leaves_no_trace(told, object_store, tmp_path, monkeypatch):
    expect_no_trace(told(), object_store, tmp_path, monkeypatch)


@pytest.mark.parametrize("seed", range(2))
def test_a_random_history_leaves_no_trace(seed, object_store, tmp_path, monkeypatch):
    expect_no_trace(history(seed), object_store, tmp_path, monkeypatch)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 200))
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
    if told.window == 35:
        expect_what_counts(lake, told, landing)


def contracts(folder: Path, monkeypatch) -> Path:
    """A copy that may be altered; returns the file of app_usage."""
    copy = shutil.copytree(ROOT / "contracts", folder / "contracts")
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(copy))
    return copy / "app_usage/1.0.0.yaml"


def ingest(lake: Lake, told: History, put: Objects) -> None:
    for one, some in put.items():
        lake.land(one, lines(*some), told.delivered[one])
    lake.run("app_usage", LANDED[-1])  # its look-back window holds the other


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
    first = expected([record for one in order for record in landing[one]])
    assert {row["day"]: row["q"] for row in found} == first
    (tally,) = lake.rows("""
        SELECT sum(rows_in - rows_out - rows_duplicate - rows_voided - rows_void) AS rows_lost,
            sum(quantity_in - quantity_out - quantity_duplicate - quantity_voided) AS quantity_lost
        FROM tally WHERE stage = 'deduplicate'""")
    assert not tally["rows_lost"] and not tally["quantity_lost"]


def history(seed: int) -> History:
    random = Random(seed)
    window = random.choice((35, 2))
    delivered = {one: datetime(2026, 11, 21, 0, random.choice((0, 0, 1))) for one in KEYS}
    rounds: list[Objects] = []
    for n in range(random.randint(2, 3)):
        before = {one: records for put in rounds for one, records in put.items()}
        if len(before) > 1 and random.random() < 0.4:
            one, other = random.sample(sorted(before), 2)
            rounds.append({one: before[other], other: before[one]})
        else:
            some = random.sample(KEYS, random.randint(1, 2 if n else 3))
            rounds.append({one: records(random, window) for one in some})
    replayed = random.sample(LANDED, 2) if random.random() < 0.4 else []
    return History(window, delivered, rounds, replayed)


def records(random: Random, window: int) -> list[dict]:
    return [record(random, window) for _ in range(random.randint(0, 4))]


def record(random: Random, window: int) -> dict:
    days = DAYS if window > 3 else [date(2026, 11, 14), date(2026, 11, 16), *DAYS[:3]]
    at = f"{random.choice(days)}T{random.choice(('09', '10'))}:00:00Z"
    kind = random.random()
    if kind < 0.2:
        return void(random.choice("abc"), random.choice("vwab"), at)
    if kind < 0.35:
        return adjust(random.choice("abc"), random.randint(-3, 3), random.choice("xya"), at)
    return measured(random.choice("abc"), random.randint(1, 2), random.choice((1, 5)), at)


def measured(id: str, quantity: int, before: int, at: str) -> dict:
    """An event of which the contract that held before read another quantity."""
    return event(id, at=at, data={"quantity": quantity, "qty": before, "feature": "core"})
