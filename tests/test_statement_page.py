"""The page of a statement: every number as text, hostile names harmless, and the pages in the lake."""

import json
from datetime import timedelta

import pytest

from etl import cli, lookup, settings
from etl.settings import ROOT
from etl.statement import day_page, pages
from etl.statement.page import exact
from etl.statement.points import points
from etl.store import Store
from tests import browser
from tests.events import DAY, evening, event, key, lines
from tests.test_page import HOSTILE, Parsed

NEXT = DAY + timedelta(days=1)


@pytest.fixture
def found() -> dict:
    """The example of the documentation."""
    text = (ROOT / "docs" / "statement.md").read_text()
    return json.loads(text.split("```json\n")[1].split("```")[0])


def text_of(html: str) -> str:
    return " ".join(" ".join(Parsed(html.replace("<wbr>", "")).text).split())


def test_every_quantity_and_every_reason_is_there_as_text(found):
    (stream,) = found["streams"]
    text = text_of(day_page.page(found, among_others=True))

    rows = stream["totals"] + stream["by_tenant"] + stream["usage"]["duplicates"]
    for row in rows:
        assert exact(row["quantity"]) in text
    for says in (
        "As of release 26, made 2026-11-21 00:04:10 UTC.",
        "4 records = 3 accepted + 1 quarantined",
        "quantity_not_a_number The quantity is not a decimal number in text form. 1",
        "release 26 replaces 24: arrivals landed on 2026-11-20",
        "unknown: this source gives no evidence",
        "Expectations: 4 of 4 held",
        found["release_sha256"],
    ):
        assert says in text


def test_each_plot_has_a_name_and_a_table_beside_it(found):
    html = day_page.page(found, among_others=True)
    parsed = Parsed(html)

    plots = parsed.all("svg")
    assert len(plots) == 4
    assert all(one["role"] == "img" and one["aria-label"] for one in plots)
    assert (
        html.count('<div class="pair"><svg') == html.count('</svg><div class="scroll"><table') == 4
    )


def hostile(found: dict, name: str) -> dict:
    """The statement with this in place of each name that data may choose."""
    (stream,) = found["streams"]
    stream["stream"] = name
    stream["by_tenant"][0]["tenant_id"] = name
    for row in (*stream["totals"], *stream["by_tenant"], *stream["usage"]["duplicates"]):
        row["meter"], row["unit"] = name, name
    stream["landed"]["quarantined_by_reason"] = {name: 1}
    stream["landed"]["unread"] = [{"raw_object_key": name, "reason": "damaged"}]
    stream["completeness"]["gaps"] = [
        {"sequence_scope": name, "first_missing": 1, "missing": 2, "raw_object_key": name}
    ]
    return found


def test_names_that_data_chose_are_shown_as_they_are_and_do_nothing(found):
    html = day_page.page(hostile(found, HOSTILE), among_others=True)
    parsed = Parsed(html.replace("<wbr>", ""))

    assert parsed.all("script") == []
    assert not any("onload" in attributes for _, attributes in parsed.elements)
    assert " ".join(parsed.text).count(HOSTILE) > 9


def test_marks_that_steer_a_screen_are_shown_as_their_escapes(found):
    html = day_page.page(hostile(found, "a\x1b[2J\u202eb"), among_others=True)

    assert r"a\x1b[2J\u202eb" in Parsed(html).text
    assert html.count("\x1b") + html.count("\u202e") == 0


@pytest.mark.parametrize("name", ["build_minutes", HOSTILE * 9, "x" * 300])
def test_in_a_browser_nothing_sticks_out_fades_or_runs(found, tmp_path, name):
    path, said = tmp_path / "page.html", []
    path.write_text(day_page.page(hostile(found, name), among_others=True))

    with browser.chromium() as program:
        for width, dark in ((browser.NARROW, True), (browser.WIDE, False)):
            window = browser.opened(program, width, dark)
            window.on("console", lambda one: said.append(one.text))
            window.on("dialog", lambda one: said.append(one.message))
            window.goto(path.as_uri())
            window.locator("summary").click()

            assert (browser.overflow(window), browser.faint(window)) == (0, [])
    assert said == []


def test_what_asks_for_attention_comes_first(found):
    (stream,) = found["streams"]
    assert [says for _, says in points(found)] == [
        "1 record of 4 in quarantine",
        "published totals changed in release 26: arrivals landed on 2026-11-20",
    ]

    stream["landed"]["quarantined"] = 0
    stream["change"] = stream["change"] | {"kind": "first", "totals": []}
    assert points(found) == []
    assert "Nothing here asks for attention." in day_page.page(found, among_others=True)

    stream["pending"], stream["completeness"]["missing"] = True, 7
    stream["validation"]["usage_event"]["rules"][1] |= {"success": False, "violations": 1}
    stream["usage"] |= {"conflicts": 1, "voids_unmatched": 2}
    stream["landed"]["objects_refused"] = 1
    stream["landed"]["unread"] = [{"raw_object_key": f"o{n}", "reason": "denied"} for n in (1, 2)]
    text = text_of(day_page.page(found, among_others=True))
    for says in (
        "newer arrivals wait to be built",
        "7 records missing",
        "1 object refused whole",
        "2 objects not read: denied",
        "1 record with another content",
        "2 voids without a known target",
        "expectation mostly_unattributed is violated (warning, 1 row)",
    ):
        assert says in text


def test_a_day_without_anything_has_a_page():
    empty = {"usage_date": "2020-01-01", "release": 0, "release_sha256": "", "streams": []}

    text = text_of(day_page.page(empty | {"released_at": None}, among_others=False))

    assert "Nothing is published yet." in text
    assert "All days" not in text


def test_the_pages_in_the_lake_follow_the_releases(lake, quick_judge):
    # given a day that was ingested: its page says what landed, and that it waits
    lake.land(key(), lines(event("a", 7), event("b", 2), "{"), evening())
    lake.ingest("app_usage", DAY)
    pages.write_statement(DAY)
    assert "newer arrivals wait to be built" in page_of(lake, DAY)
    assert "waits to be built" in page_of(lake, "index")

    # when it is built, then the page has the totals, and the list leads to it
    lake.build("app_usage", DAY)
    wrote = pages.write_statement(DAY)
    built = page_of(lake, DAY)
    assert wrote == {
        "release": lake.release().number,
        "page": f"s3://lake/{lake.name}/_statement/{DAY}.html",
    }
    assert "9 Requests in 2 events" in text_of(built)
    assert {"href": f"{DAY}.html"} in Parsed(page_of(lake, "index")).all("a")
    assert text_of(built).replace("All days ", "") == text_of(lookup.statement_html(DAY))

    # when it is written again, then it is the same object
    before = head(lake, DAY)
    pages.write_statement(DAY)
    assert head(lake, DAY)["LastModified"] == before["LastModified"]
    assert before["ContentType"] == "text/html; charset=utf-8"


def test_a_late_object_that_is_refused_whole_renews_the_page_of_its_day(lake, quick_judge):
    # given a day whose page is there
    lake.land(key(), lines(event("a", 7)), evening())
    assert cli.main(["ingest", "app_usage", "--landed", str(DAY)]) == 0
    assert "1 quarantined" not in text_of(page_of(lake, DAY))

    # when an object comes late into it of which no record is accepted
    lake.land(key(offset=9), lines("{"), evening(NEXT))
    assert cli.main(["ingest", "app_usage", "--landed", str(NEXT)]) == 0

    # then the page of its day says so, besides that of the day that was ingested
    assert "2 records = 1 accepted + 1 quarantined" in text_of(page_of(lake, DAY))
    assert page_of(lake, NEXT)


def test_a_page_of_an_older_release_never_replaces_that_of_a_newer_one(lake):
    store, page = Store(settings.from_environment().lake), "_statement/2026-11-18.html"

    for number, text in ((2, "second"), (1, "first"), (3, "third"), (3, "third, by newer code")):
        pages.follow(store, page, lambda text=text: text, number)
        assert lake.read(page).decode() == (text if number > 1 else "second")


def test_a_list_that_was_overtaken_is_made_again(lake):
    store, page = Store(settings.from_environment().lake), "_statement/index.html"
    others = iter(["theirs", None])

    def make() -> str:
        if other := next(others):
            store.write(page, other.encode(), {"release": "1"})
            return "without theirs"
        return "with theirs"

    pages.follow(store, page, make, 1)

    assert lake.read(page) == b"with theirs"


def test_an_empty_lake_has_no_page(lake):
    assert pages.write_statement(DAY) == {"release": 0, "page": None}
    assert lake.keys() == []


def page_of(lake, name: object) -> str:
    return lake.read(f"_statement/{name}.html").decode()


def head(lake, name: object) -> dict:
    return lake.client.head_object(Bucket="lake", Key=f"{lake.name}/_statement/{name}.html")
