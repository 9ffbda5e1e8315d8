"""An object store on bad days: the same result, or a refusal that names the object and that a rerun heals."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded import objectstore, process
from deploy.embedded.objectstore import ObjectStore
from etl import layout, stages
from etl.errors import Corrupt, Retryable, StoreUnavailable
from etl.settings import Location
from etl.store import Store
from tests import fault_proxy
from tests.conftest import Lake, decide
from tests.events import DAY, evening, event, key, lines, void
from tests.fault_proxy import Fault, Proxy
from tests.test_kill import STREAM, published

pytestmark = pytest.mark.usefixtures("quick_judge")

OBJECT = r"(GET|PUT) /(lake|landing)/[^?]*$"
READ = r"GET /(lake|landing)/[^?]+$"
WRITE = r"PUT /lake/"
OFTEN = 1000


@pytest.fixture(scope="module")
def whole(object_store) -> Iterator[tuple[Lake, dict]]:
    """A lake to which nothing happened, and what it came to; the others share its landing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etl.judge.judge", decide)
        lake = Lake(object_store, "good-days", patch)
        yield lake, run(fill(lake))


@pytest.fixture
def expected(whole) -> dict:
    return whole[1]


@pytest.fixture
def proxy(object_store) -> Iterator[Proxy]:
    with fault_proxy.running(object_store.endpoint) as made:
        yield made


@pytest.fixture
def behind(proxy, whole, lake, monkeypatch) -> Lake:
    """Another lake over the same landing, with the proxy between, and retries that do not sleep."""
    monkeypatch.setenv("USAGE_EXPORT_LANDING", whole[0].settings["USAGE_EXPORT_LANDING"])
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
    monkeypatch.setattr("etl.store.READ_SECONDS", 1)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    return lake


def fill(lake: Lake) -> Lake:
    made = [event(f"e{n}", n) for n in range(1, 20)]
    lake.land(key(), lines(*made, made[3], void("e5"), '{"broken'), evening())
    lake.land(key(partition=1), lines(event("other", 7)), evening())
    return lake


def run(lake: Lake) -> dict:
    lake.run(STREAM, DAY)
    return published(lake)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("500", ".*", OFTEN, every=7),
        Fault("503", ".*", 6, every=19),
        Fault("429", ".*", 6, every=17),
        Fault("reset", ".*", OFTEN, every=5),
        Fault("stall", OBJECT, 2, every=11),
        Fault("drip", READ, 4, every=3),
        Fault("truncated", READ, OFTEN, every=3),
        Fault("flipped", READ, OFTEN, every=3),
        Fault("flipped_upload", WRITE, OFTEN, every=3),
        Fault("lost_answer", WRITE, OFTEN, every=2),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_fault_that_passes_changes_nothing(proxy, behind, expected, fault):
    fault.met = fault.hurt = 0
    proxy.faults = [fault]

    found = run(behind)

    assert fault.hurt > 1
    proxy.faults = []
    assert found == expected


@pytest.mark.parametrize(
    ("kind", "pattern", "names"),
    [
        ("500", r"GET /landing/.*json", "usage.events+0+"),
        ("reset", WRITE + r".*/usage_arrival/", "usage_arrival/stream=app_usage"),
        ("507", WRITE + r".*/_work/", "_work/"),
        ("503", r"PUT /lake/.*/_release/0000000001", "_release/0000000001.json"),
    ],
)
def test_a_fault_that_stays_is_named_publishes_nothing_and_a_rerun_heals_it(
    proxy, behind, expected, monkeypatch, kind, pattern, names
):
    monkeypatch.setattr("etl.refusal.ATTEMPTS", 1)  # the patience is that of the cases above
    proxy.faults = [Fault(kind, pattern, OFTEN)]

    with pytest.raises(StoreUnavailable) as refused:
        run(behind)

    assert names in str(refused.value)
    proxy.faults = []
    told = {name for name, held in behind.release().body["tables"].items() if held}
    assert told <= {"unread"}  # at most that an object could not be read
    assert run(behind) == expected


def test_views_that_the_store_holds_back_are_told_and_made_by_a_rerun(proxy, behind, expected):
    """DuckDB makes them, and asks the store by itself."""
    proxy.faults = [Fault("500", r"GET /lake/.*/quarantine/", OFTEN)]

    with pytest.raises(StoreUnavailable, match=r"quarantine/.*run the same again"):
        run(behind)
    with pytest.raises(StoreUnavailable, match="quarantine/"):
        behind.rows("SELECT count(*) AS n FROM quarantine")

    proxy.faults = []
    assert run(behind) == expected
    assert behind.rows("SELECT count(*) AS n FROM quarantine")


def test_a_file_that_comes_damaged_while_views_are_made_is_asked_for_again(proxy, behind, expected):
    proxy.faults = [Fault("flipped", r"GET /lake/.*/manifest/", 1)]

    assert run(behind) == expected

    assert proxy.faults[0].hurt == 1


@pytest.mark.parametrize("place", ["usage_arrival/", "_work/", "_release/0000000001.json"])
def test_bytes_that_stay_wrong_are_never_used_and_the_object_is_named(lake, place):
    # given what a disk did to one object of the lake
    fill(lake)
    stages.ingest(STREAM, DAY, "run")
    store = Store(Location("lake", f"{lake.name}/"))
    damaged = next(one for one in lake.keys(place) if not one.endswith("manifest.json"))
    head = lake.client.head_object(Bucket="lake", Key=f"{lake.name}/{damaged}")
    lake.client.put_object(
        Bucket="lake",
        Key=f"{lake.name}/{damaged}",
        Body=fault_proxy.flipped(lake.read(damaged)),
        Metadata=head["Metadata"],
    )

    # when a stage reads it, then it says which and what to do, and nothing is published
    with pytest.raises(Corrupt, match=r"restore the object") as refused:
        stages.collect(STREAM, "run") if place == "_work/" else stages.build(DAY, STREAM, "build")
    assert damaged in str(refused.value)
    assert not isinstance(refused.value, Retryable)
    assert store.read(layout.release(2)) is None


def test_a_landed_object_is_held_to_its_etag(proxy, behind, expected):
    """Nobody put a sha256 with it; a bit that flips each time is not taken for its content."""
    proxy.faults = [Fault("flipped", r"GET /landing/.*%2B1%2B", OFTEN)]

    behind.ingest(STREAM, DAY)

    (unread,) = behind.rows("SELECT raw_object_key AS key, reason FROM unread")
    assert unread == {"key": key(partition=1), "reason": "damaged"}
    proxy.faults = []
    assert run(behind) == expected


@pytest.mark.soak
def test_a_store_that_is_killed_and_started_again_in_the_middle_of_a_run(
    tmp_path, monkeypatch, expected
):
    # given a run over a store of its own
    kept = tmp_path / "store"
    first = objectstore.start(kept, "test-access", "test-secret-key", tied=True)
    with fault_proxy.running(first.endpoint) as proxy:
        made = Lake(first, "killed", monkeypatch)
        fill(made)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        outcome: list[object] = []

        def work() -> None:
            try:
                outcome.append(made.run(STREAM, DAY))
            except StoreUnavailable as error:
                outcome.append(error)

        worker = threading.Thread(target=work)
        worker.start()

        # when the server dies by SIGKILL and comes back
        while len(proxy.asked) < 110:
            worker.join(0.01)
        process.end([first.session])
        second = _again(kept)
        proxy.target = second.endpoint.removeprefix("http://")
        worker.join()

        # then the run ends as if nothing had been, or says so and does when it is run again
        made.client = second.client()
        assert outcome
        made.run(STREAM, DAY)
        assert published(made) == expected
        process.end([second.session])


def _again(folder: Path) -> ObjectStore:
    return objectstore.start(folder, "test-access", "test-secret-key", tied=True)
