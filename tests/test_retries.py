"""A task that is tried again after its release was made: the same answer, and no second release."""

from datetime import timedelta

import pytest

from etl import layout, lookup, stages
from tests import fault_proxy
from tests.events import DAY, evening, event, key, lines
from tests.fault_proxy import Fault
from tests.test_kill import STREAM

pytestmark = pytest.mark.usefixtures("quick_judge")

NEXT = DAY + timedelta(days=1)
FOLLOWERS = (layout.CURRENT, layout.VIEWS, layout.CATALOG)
ACCESS = (
    b"o b [18/Nov/2026:10:00:00 +0000] 10.1.1.1 r q REST.GET.OBJECT t-1/a - 200 - 9 9 1 1 - - -\n"
)


def die_after_the_release(lake) -> None:
    """What a worker leaves that is killed between its commit and what follows it."""
    for name in FOLLOWERS:
        lake.client.delete_object(Bucket="lake", Key=f"{lake.name}/{name}")


def releases(lake) -> list[str]:
    return [name for name in lake.keys("_release/") if name[len("_release/") :][0].isdigit()]


@pytest.mark.parametrize("other", [False, True], ids=["alone", "another published since"])
def test_publishing_twice_is_publishing_once(lake, other):
    # given arrivals and totals whose release is there, while the worker died before it said so
    lake.land(key(), lines(event("a", 1)), evening())
    lake.land("s3logs/1/r/b/2026/11/18/log", ACCESS, evening())
    first = lake.ingest(STREAM, DAY)
    die_after_the_release(lake)
    if other:
        lake.ingest("s3_access", DAY)
    made = releases(lake)

    # when publish is tried again, then it answers the same, and what follows the releases is there again
    again = stages.publish_arrivals(STREAM, f"test-{STREAM}-{DAY}")
    assert again["usage_dates"] == first["usage_dates"]
    assert releases(lake) == made
    assert set(FOLLOWERS) <= set(lake.keys("_release/"))

    # and so it is for the totals, with the restatement that they came with
    lake.build(STREAM, DAY)
    lake.land(key(NEXT, offset=1), lines(event("b", 2)), evening(NEXT))
    lake.run(STREAM, NEXT)
    die_after_the_release(lake)
    made, run = releases(lake), f"test-{DAY}"
    assert stages.publish(DAY, STREAM, run)["totals"] == {"api_calls Requests": "3.000000000"}
    assert releases(lake) == made
    assert lake.rows("SELECT difference::INTEGER AS d FROM restatement") == [{"d": 2}]


def test_a_release_whose_answer_is_lost_is_not_made_twice(lake, object_store, monkeypatch):
    lake.land(key(), lines(event("a", 1)), evening())
    with fault_proxy.running(object_store.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        fault = Fault("lost_answer", r"PUT /lake/.*/_release/0000000001\.json")
        proxy.faults = [fault]

        assert lake.ingest(STREAM, DAY)["release"] == 1

    assert fault.hurt == 1
    assert len(releases(lake)) == 1
    assert lookup.status(DAY)["pending"] == [f"{STREAM}/{DAY}"]
