"""A lake that has grown old costs a run no more than a young one, and is known no less well."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from etl import cli, lookup
from etl.statement import pages
from tests import fault_proxy
from tests.conftest import Lake
from tests.events import DAY, evening, event, key, lines
from tests.fault_proxy import Fault, Proxy

pytestmark = pytest.mark.usefixtures("quick_judge")

STREAM = "app_usage"
OLDEST, OLD, BEFORE, NEXT = (DAY + timedelta(days=n) for n in (-200, -60, -1, 1))
LANDED = {  # landed date -> partition and first offset of its objects, of one record each
    OLDEST: [(0, 0), (2, 0)],
    OLD: [(0, 1), (1, 0)],
    BEFORE: [(0, 2)],
    DAY: [(0, 3)],
    NEXT: [(1, 1), (2, 7)],
}


@pytest.fixture
def proxy(object_store) -> Iterator[Proxy]:
    with fault_proxy.running(object_store.endpoint) as made:
        yield made


@pytest.fixture
def aged(lake, proxy, monkeypatch) -> Lake:
    """A lake with an object here and there in two hundred days."""
    for day, objects in LANDED.items():
        for partition, offset in objects:
            one = event(f"{partition}-{offset}", at=f"{day}T10:00:00Z")
            lake.land(key(day, partition, offset), lines(one), evening(day))
        lake.ingest(STREAM, day)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
    return lake


def fetched(*days: date) -> Fault:
    """Counts the manifests of these landed dates that are read from the lake."""
    named = "|".join(map(str, days))
    return Fault("counted", rf"GET /lake/.*/manifest/.*landed_date(=|%3D)({named})/", times=0)


def test_a_day_without_anything_new_reads_no_manifest_beyond_its_window(proxy, aged):
    proxy.faults = [old, near] = [fetched(OLDEST, OLD), fetched(BEFORE, DAY, NEXT)]

    aged.ingest(STREAM, NEXT + timedelta(days=1))
    for day in (DAY, NEXT + timedelta(days=1)):
        pages.write_statement(day)

    assert (old.met, near.met) == (0, 3 + 3 + 1)


def test_a_gap_is_told_from_what_landed_long_before(aged):
    (one,) = lookup.statement(NEXT)["streams"]

    assert (one["completeness"]["received"], one["completeness"]["missing"]) == (2, 6)
    assert [
        (gap["sequence_scope"], gap["first_missing"]) for gap in one["completeness"]["gaps"]
    ] == [("2", 1)]


def test_what_no_run_looks_back_to_waits_with_the_command_that_reads_it(aged, capsys):
    late = key(OLD, offset=9)
    aged.land(late, lines(event("late", at=f"{OLD}T10:00:00Z")), evening(OLD))
    aged.ingest(STREAM, NEXT)

    assert cli.main(["status"]) == 0
    command = f"usage-export ingest {STREAM} --landed {OLD}"
    waits = f"  {late}: no run looks back to its date, `{command}` reads it\n"
    assert f"{STREAM}: 1 landed objects not read yet\n{waits}" in capsys.readouterr().out

    assert cli.main(command.split()[1:]) == 0
    assert lookup.backlog(STREAM) == []


def test_a_gap_that_closes_on_another_date_is_told_there_too(lake):
    lake.land(key(), lines(event("a"), event("b")), evening())
    lake.land(key(offset=9), lines(event("c")), evening())
    lake.ingest(STREAM, DAY)
    lake.land(key(NEXT, offset=2), lines(*(event(f"n{n}") for n in range(7))), evening(NEXT))
    lake.land(key(NEXT, offset=20), lines(event("d")), evening(NEXT))

    done = lake.ingest(STREAM, NEXT)

    assert done["landed_dates"] == [str(DAY), str(NEXT)]
