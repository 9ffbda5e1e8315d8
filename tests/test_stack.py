"""The stack as an operator has it, in a browser and by REST: up, log in, backfill, look, backfill again, down.

One stack for the whole file; its tests go through it in their order. Without a browser the first backfill is made
by REST, and what only a browser can show is skipped.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import psutil
import pytest

from deploy.embedded import server
from deploy.embedded.environment import ROOT, keep_secrets
from sample import generate
from sample.land import land
from tests import browser

pytestmark = pytest.mark.airflow

FIRST_DAY = date(2025, 6, 10)  # beyond the look-back of the run that the schedule starts
SAMPLE = generate(2, FIRST_DAY, 1)
LANDED = [str(day) for day in SAMPLE.landed_dates]  # two: some of it lands on the day after
DAYS = [*LANDED, str(FIRST_DAY + timedelta(days=2))]  # and one on which nothing landed
RUN_SECONDS = 300
SQLITE_SECONDS = 5  # Python waits so long for another writer unless told
DAGS = {"billing_ingest", "usage_ingest", "usage_build", "usage_replay", "lake_sweep"}
ENDED = {"success", "failed"}


@dataclass
class Stack:
    """A stack with a run folder of its own, spoken to by command and by HTTP."""

    folder: Path
    users: dict[str, str] = field(default_factory=dict)
    token: str = ""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{json.loads((self.folder / 'up.json').read_text())['port']}"

    def command(self, *arguments: str) -> str:
        env = os.environ | {
            "USAGE_EXPORT_RUN_FOLDER": str(self.folder),
            "USAGE_EXPORT_CONTRACTS": str(self.folder / "contracts"),
        }
        command = [sys.executable, "-m", "deploy.embedded", *arguments]
        done = subprocess.run(
            command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def call(self, path: str, body: dict | None = None) -> dict:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.address + path, data, headers)
        with urllib.request.urlopen(request, timeout=90) as answer:
            return json.load(answer)

    def log_in(self, user: str) -> None:
        who = {"username": user, "password": self.users[user]}
        self.token = self.call("/auth/token", who)["access_token"]

    def runs(self, dag_id: str) -> dict[str, tuple[str, str]]:
        """Partition key and state of each finished or unfinished run, by its id."""
        found = self.call(f"/api/v2/dags/{dag_id}/dagRuns?limit=100")["dag_runs"]
        return {one["dag_run_id"]: (one["partition_key"], one["state"]) for one in found}

    def release(self) -> dict:
        kept = keep_secrets(self.folder)
        store = server.running_store(self.folder, kept)
        assert store
        body = store.client().get_object(Bucket="lake", Key="_release/current.json")["Body"]
        return json.loads(body.read())

    def processes(self) -> list[psutil.Process]:
        """Whatever was started for this run folder, by what the operating system knows of it."""
        return [one for one in psutil.process_iter() if self._mine(one)]

    def _mine(self, one: psutil.Process) -> bool:
        try:
            said = [*one.cmdline(), *one.environ().values(), *(f.path for f in one.open_files())]
        except psutil.Error:
            return False
        return one.pid != os.getpid() and any(str(self.folder) in text for text in said)


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    """One stack for all tests here, up, with a sample of two days in its landing bucket."""
    folder = tmp_path_factory.mktemp("stack")
    shutil.copytree(ROOT / "contracts" / "app_usage", folder / "contracts" / "app_usage")
    made = Stack(folder)
    try:
        said = made.command("up")
        made.users = dict(re.findall(r"(operator|analyst), password ([^\s)]+)", said))
        store = server.running_store(folder, keep_secrets(folder))
        assert store
        land(SAMPLE, "landing", "", store.client())
        made.log_in("operator")
        yield made
    finally:
        made.command("down")


@pytest.fixture(scope="module")
def backfilled(stack, request) -> Stack:
    """Every landed date was ingested and built once: by an operator's form where there is a browser."""
    if browser.CHROMIUM:
        window = logged_in(request.getfixturevalue("program"), stack, "operator")
        browser.start_backfill(window, stack.address, "usage_ingest", DAYS[0], DAYS[-1])
        window.context.close()  # it asks for news all the time
    else:
        stack.call("/api/v2/backfills", asked("none", *DAYS))
    wait_until_built(stack, LANDED, {})
    return stack


@pytest.fixture(scope="module")
def program() -> Iterator[browser.Browser]:
    with browser.chromium() as one:
        yield one


@pytest.fixture(scope="module")
def page(backfilled, program) -> browser.Page:
    """The operator's window."""
    return logged_in(program, backfilled, "operator")


def logged_in(program: browser.Browser, stack: Stack, user: str, **look) -> browser.Page:
    window = browser.opened(program, **look)
    browser.log_in(window, stack.address, user, stack.users[user])
    return window


def test_people_may_do_what_their_role_allows_from_this_machine_only(stack):
    expect_only_loopback(stack)
    dags = {one["dag_id"]: one["is_paused"] for one in stack.call("/api/v2/dags")["dags"]}
    assert dags == dict.fromkeys(DAGS, False)

    stack.log_in("analyst")
    assert stack.call("/api/v2/dags")["total_entries"] == len(DAGS)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        stack.call("/api/v2/backfills", asked("none", *DAYS))
    stack.log_in("operator")


def test_many_who_write_at_once_are_all_answered(stack):
    """Airflow's event loop once waited for SQLite's lock, and whoever held it for the event loop."""
    path, names = "/api/v2/variables", {f"note_{n}" for n in range(40)}
    with ThreadPoolExecutor(8) as threads:
        bodies = [{"key": name, "value": "anything"} for name in sorted(names)]
        assert {one["key"] for one in threads.map(stack.call, [path] * 40, bodies)} == names


def test_a_backfill_over_three_days_from_the_form_turns_green(page, stack):
    page.goto(f"{stack.address}/dags/usage_ingest/runs")
    rows = page.get_by_role("row").filter(has_text="backfill__")
    rows.nth(2).wait_for()

    shown = [rows.nth(n).inner_text() for n in range(rows.count())]
    assert [day for day in reversed(DAYS) for one in shown if day in one.split()[0]] == DAYS[::-1]
    assert all("Success" in one for one in shown)


def test_what_was_backfilled_is_ingested_built_and_published(backfilled):
    expect_green(backfilled, DAYS)
    assert backfilled.release()["pending"] == {}
    assert "Requests" in backfilled.command("sql", "SELECT DISTINCT unit FROM usage_daily")


def test_a_task_of_usage_build_shows_its_tally(page, stack):
    page.goto(f"{stack.address}/dags/usage_build/runs")
    page.get_by_role("link", name="asset_triggered").last.click()
    page.get_by_role("link", name="lane.deduplicate").last.click()
    page.get_by_role("link", name="Storage").click()
    page.get_by_role("link", name="XCom").last.click()
    names = {"rows_in", "rows_out", "rows_duplicate", "rows_void", "rows_voided"}
    wait(lambda: tally(page).keys() == names)

    shown = tally(page)
    assert shown["rows_in"] > shown["rows_out"] > 1000
    assert shown.pop("rows_in") == sum(shown.values())


def test_the_statements_stand_in_the_menu_with_a_page_for_each_day(page, stack):
    page.goto(stack.address)
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Statements").click()
    frame = page.frame_locator("iframe")

    frame.get_by_role("link", name=DAYS[0]).click()
    frame.get_by_role("heading", name=f"Usage statement, {DAYS[0]} (UTC)").wait_for()
    said = stack.command(
        "sql", f"SELECT sum(events) FROM usage_daily WHERE usage_date = '{DAYS[0]}'"
    )
    events = re.findall(r"\b\d{4,}\b", said)[0]
    assert frame.get_by_text(f"{int(events):,}", exact=True).count() == 1
    assert frame.locator("svg").count() >= 5
    frame.get_by_role("link", name="All days").click()
    frame.get_by_role("link", name=LANDED[-1]).wait_for()


def test_statements_are_for_people_who_are_logged_in(backfilled):
    day = f"/statements/{DAYS[0]}.html"
    assert status(backfilled.address + day) == 401
    assert status(backfilled.address + "/statements/index.html") == 401
    backfilled.log_in("analyst")
    bearer = {"Authorization": f"Bearer {backfilled.token}"}
    backfilled.log_in("operator")

    assert status(backfilled.address + day, bearer) == 200
    for other in ("2020-01-01", "2020-1-1", "..%2f_release%2fcurrent", "%2e%2e"):
        assert status(f"{backfilled.address}/statements/{other}.html", bearer) == 404


@pytest.mark.parametrize(("width", "dark"), [(browser.NARROW, True), (browser.WIDE, False)])
def test_a_statement_can_be_read_on_any_screen(backfilled, program, width, dark):
    window = logged_in(program, backfilled, "analyst", width=width, dark=dark)
    for name in ("index", DAYS[0]):
        window.goto(f"{backfilled.address}/statements/{name}.html")
        window.locator("summary").evaluate_all("all => all.forEach(one => one.click())")

        assert browser.overflow(window) == 0
        assert browser.faint(window) == []
    assert window.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is dark


def test_a_failed_validation_shows_which_expectation_how_many_rows_and_where(page, stack):
    # given a contract whose unit was changed by mistake after the records had been read
    (path,) = (stack.folder / "contracts" / "app_usage").glob("*.yaml")
    sound, before = path.read_text(), stack.release()
    path.write_text(sound.replace("llm_tokens: Tokens", "llm_tokens: Words"))

    # when the operator has a day built again
    try:
        browser.start_run(page, stack.address, "usage_build", DAYS[0])
        failed = page.get_by_role("row").filter(has_text="lane.validate").filter(has_text="Failed")
        failed.wait_for(timeout=RUN_SECONDS * 1000)
    finally:
        path.write_text(sound)

    # then the task says what is wrong, and what was published stays
    failed.get_by_role("link").first.click()
    message = page.get_by_text("QualityError").first
    message.wait_for()
    shown = page.locator("body").inner_text()
    assert (
        f"usage_event of app_usage, {DAYS[0]}: 1 expectation failed, it is not published" in shown
    )
    assert re.search(r"meter_or_unit_not_allowed \(.*\): \d+ violations?", shown)
    assert re.search(r"first at topics/usage.events/\S+\.json\.gz:\d+", shown)
    wait(lambda: {state for _, state in stack.runs("usage_build").values()} <= ENDED)
    assert stack.release() == before


def test_a_click_waits_for_whoever_else_writes_to_the_database(backfilled):
    database = sqlite3.connect(backfilled.folder / "airflow" / "airflow.db", timeout=60)
    with ThreadPoolExecutor(1) as thread:
        database.execute("BEGIN IMMEDIATE")
        click = thread.submit(backfilled.call, "/api/v2/backfills", asked("none", DAYS[0]))
        time.sleep(SQLITE_SECONDS + 1)
        assert not click.done()
        database.close()

        assert click.result()["dag_id"] == "usage_ingest"
    wait_until_built(backfilled, LANDED, {})


@pytest.mark.soak
def test_another_backfill_of_the_same_day_changes_nothing(backfilled: Stack):
    """Without a scheduler test_airflow_day shows the same, object by object."""
    first, before = backfilled.release(), backfilled.runs("usage_build")

    backfilled.call("/api/v2/backfills", asked("completed", DAYS[0]))
    wait_until_built(backfilled, DAYS[:1], before)

    expect_green(backfilled, [*DAYS, DAYS[0]])
    assert backfilled.release() == first


def test_a_replay_checks_its_form_and_lists_in_its_log_what_would_change(backfilled):
    form = {"stream": "app_usage", "from": DAYS[0], "to": DAYS[0], "reason": "a second look"}
    runs, before = "/api/v2/dags/usage_replay/dagRuns", backfilled.release()
    with pytest.raises(urllib.error.HTTPError, match="400"):
        backfilled.call(runs, {"logical_date": None, "conf": form | {"reason": "short"}})

    run = backfilled.call(runs, {"logical_date": None, "conf": form})["dag_run_id"]
    wait(lambda: backfilled.runs("usage_replay")[run][1] in ENDED)

    log = backfilled.call(f"{runs}/{run}/taskInstances/finish/logs/1?map_index=-1")["content"]
    (said,) = (one["event"] for one in log if "nothing would change: " in one["event"])
    assert said.endswith(f"came out as in release {before['release']}")
    assert backfilled.release() == before


def test_down_leaves_no_process_and_the_data_can_still_be_read(backfilled):
    assert backfilled.processes()
    assert backfilled.command("down") == "stopped\n"
    assert backfilled.processes() == []
    assert "Requests" in backfilled.command("sql", "SELECT DISTINCT unit FROM usage_daily")
    assert backfilled.processes() == []
    assert backfilled.command("down") == "not running\n"


def tally(page: browser.Page) -> dict[str, int]:
    """The numbers in the table of XComs: name, day, time, number; rows that are still loading have no text."""
    rows = [one.split() for one in page.get_by_role("row").all_inner_texts()]
    return {row[0]: int(row[3]) for row in rows if len(row) > 3 and row[0].startswith("rows_")}


def asked(reprocess: str, *days: str) -> dict:
    """A backfill of usage_ingest, as the form asks for it."""
    return {
        "dag_id": "usage_ingest",
        "from_date": f"{days[0]}T00:00:00Z",
        "to_date": f"{days[-1]}T00:00:00Z",
        "reprocess_behavior": reprocess,
        "max_active_runs": 2,
    }


def wait_until_built(stack: Stack, days: list[str], before: dict) -> None:
    """Until every backfill ended, and the builds of these days that were announced since."""

    def backfilled() -> bool:
        found = stack.call("/api/v2/backfills?dag_id=usage_ingest")["backfills"]
        return all(one["completed_at"] for one in found)

    def built() -> bool:
        new = [one for run, one in stack.runs("usage_build").items() if run not in before]
        ended = {day for day, _ in new} >= {*days} and {state for _, state in new} <= ENDED
        return ended and not stack.release()["pending"]

    wait(backfilled)
    wait(built)


def wait(done) -> None:
    deadline = time.monotonic() + RUN_SECONDS
    while not done():
        assert time.monotonic() < deadline, "the runs do not end"
        time.sleep(0.5)


def expect_green(stack: Stack, ingested: list[str]) -> None:
    """These landed dates were ingested, each as often as it is named, and every date that they announced built."""
    done = sorted(one for one in stack.runs("usage_ingest").values() if one[0] in DAYS)
    assert done == sorted((day, "success") for day in ingested)
    built = stack.runs("usage_build").items()
    announced = {one for run, one in built if run.startswith("asset")}
    assert {one for one in announced if one[1] in ENDED} == {(day, "success") for day in LANDED}


def status(url: str, headers: dict | None = None) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {})) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def expect_only_loopback(stack: Stack) -> None:
    listening = set()
    for process in stack.processes():
        with suppress(psutil.NoSuchProcess):  # a task that has ended meanwhile
            sockets = process.net_connections("inet")
            listening |= {one.laddr for one in sockets if one.status == psutil.CONN_LISTEN}
    assert listening
    assert {address.ip for address in listening} == {"127.0.0.1"}
