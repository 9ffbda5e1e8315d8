"""What is listed for some dates: exactly the keys that a path and the dates mean, in few requests."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import pytest

from etl import contract, discovery, settings
from etl.settings import ROOT
from etl.store import Store

FIRST, LAST = date(2026, 10, 14), date(2026, 11, 18)
WINDOW = {FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)}
DAYS = [date(2025, 11, 18), *(FIRST + timedelta(days=n) for n in (-1, 0, 17, 18, 35, 36, 50))]
PATHS = {
    "topics/day={yyyy}{MM}{dd}/*.gz": ["topics/day=%Y%m%d/a.gz", "topics/day=%Y%m%d-late/a.gz"],
    "t/y={yyyy}/m={MM}/d={dd}/*": ["t/y=%Y/m=%m/d=%d/a", "t/y=%Y/m=%m/d=%d0/a", "t/y=%Y/m=%m/a"],
    "logs/*/x/*/{yyyy}/{MM}/{dd}/*": ["logs/1/x/eu/%Y/%m/%d/a", "logs/2-3/x/us/%Y/%m/%d/a"],
    "part/of*name/{yyyy}/{MM}/{dd}.csv": ["part/of-a-name/%Y/%m/%d.csv"],
    "back/{dd}/{MM}/{yyyy}/*": ["back/%d/%m/%Y/a"],
    "deep/{yyyy}/*/{MM}/{dd}/*": ["deep/%Y/a/%m/%d/a", "deep/%Y/b/%m/%d/a"],
    "m/{yyyy}/{MM}/{dd}.csv": ["m/%Y/%m/%d.csv", "m/%Y/%m/%d/a", "m/%Y/%m/%d-x"],
    "one/{yyyy}-{MM}-{dd}": ["one/%Y-%m-%d", "one/%Y-%m-%dT01"],
    "100%/{yyyy}/{MM}/{dd}/*": ["100%%/%Y/%m/%d/ä b"],
}


@pytest.fixture
def landing(lake) -> Store:
    store = Store(settings.from_environment().landing)
    for patterns in PATHS.values():
        for day in DAYS:
            for pattern in patterns:
                store.write(day.strftime(pattern), b"x")
    return store


@contextmanager
def requests(store: Store, page: int) -> Iterator[list[dict]]:
    """Listings that are asked for, a page of some keys each."""
    seen: list[dict] = []

    def ask(params: dict, **_: object) -> None:
        seen.append(params)
        params["MaxKeys"] = page

    events, name = store._client.meta.events, "before-parameter-build.s3.ListObjectsV2"
    events.register(name, ask)
    try:
        yield seen
    finally:
        events.unregister(name, ask)


def with_path(path: str) -> contract.Contract:
    found = contract.load(ROOT / "contracts", "app_usage")
    return found.model_copy(update={"discovery": found.discovery.model_copy(update={"path": path})})


def test_of_every_layout_exactly_what_lies_under_the_dates_is_found(landing):
    keys = landing.list("")
    for path, dates in itertools.product(
        PATHS, (WINDOW, {LAST}, {FIRST, LAST}, {date(2026, 10, 20), *DAYS[-2:]})
    ):
        asked = with_path(path)
        expected = {
            key: value for key, value in keys.items() if discovery.key_date(asked, key) in dates
        }
        assert len(expected) >= len(dates & {*DAYS}), "a test that finds nothing shows nothing"
        for page in (1, 1000):
            with requests(landing, page):
                assert discovery.listing(landing, asked, dates) == expected, path


def test_a_window_of_weeks_is_a_request_a_month_and_older_dates_are_not_listed(landing):
    with requests(landing, 1000) as seen:
        discovery.listing(landing, with_path("t/y={yyyy}/m={MM}/d={dd}/*"), WINDOW)
        assert len(seen) == 2
        discovery.listing(landing, with_path("logs/*/x/*/{yyyy}/{MM}/{dd}/*"), WINDOW)
    prefixes = {one["Prefix"].removeprefix(landing.location.prefix) for one in seen[2:]}
    assert {one for one in prefixes if "20" in one} == {
        f"logs/{place}/2026/{month}/" for place in ("1/x/eu", "2-3/x/us") for month in (10, 11)
    }

    # what comes after the last date is not read to its end
    with requests(landing, 2) as seen:
        discovery.listing(landing, with_path("t/y={yyyy}/m={MM}/d={dd}/*"), {FIRST})
    assert len(seen) == 2
