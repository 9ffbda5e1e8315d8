"""An object that cannot be read is named and stays backlog; it holds back no other, and takes nothing back."""

import shutil
from collections.abc import Iterator
from datetime import timedelta

import pytest

from etl import cli, contract, extract, lookup, manifest, mapping, settings, sql, stages
from etl.errors import Denied, SourceError, StoreUnavailable
from etl.layout import CONTRACTS
from etl.replay import replay
from etl.settings import ROOT
from etl.store import Store
from etl.unread import Unread
from tests import fault_proxy
from tests.conftest import Lake
from tests.events import DAY, evening, event, key, lines
from tests.fault_proxy import Fault, Proxy
from tests.test_kill import STREAM, published

pytestmark = pytest.mark.usefixtures("quick_judge")

NEXT = DAY + timedelta(days=1)
OFTEN = 10_000
GOOD, BAD = key(), key(partition=1)
OF_BAD = r" /landing/.*%2B1%2B"


@pytest.fixture
def proxy(object_store) -> Iterator[Proxy]:
    with fault_proxy.running(object_store.endpoint) as made:
        yield made


@pytest.fixture
def behind(proxy, lake, monkeypatch) -> Lake:
    """A lake with the proxy between, two objects of a day in its landing, and impatient retries."""
    lake.land(GOOD, lines(event("a", 1), "{"), evening())
    lake.land(BAD, lines(event("b", 2), event("c", 4), event("b", 2), "["), evening())
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
    monkeypatch.setattr("etl.refusal.ATTEMPTS", 1)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    return lake


@pytest.fixture
def undisturbed(behind, object_store, monkeypatch) -> Iterator[Lake]:
    """Another lake over the same landing, to which nothing happens."""
    with pytest.MonkeyPatch.context() as patch:
        lake = Lake(object_store, f"{behind.name}-undisturbed", patch)
    lake.settings["USAGE_EXPORT_LANDING"] = behind.settings["USAGE_EXPORT_LANDING"]
    yield lake


def ingest(lake: Lake, *days) -> dict:
    for day in days:
        done = lake.ingest(STREAM, day)
    return done


def calm(lake: Lake, *days) -> dict:
    """What a lake comes to that sees the same landing in peace."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in lake.settings.items():
            patch.setenv(name, value)
        ingest(lake, *days)
        return published(lake)


def ledger(lake: Lake) -> list[tuple]:
    return [tuple(row.values()) for row in lake.rows("FROM unread ORDER BY raw_object_key")]


def quantities(lake: Lake) -> list[tuple]:
    found = lake.rows("SELECT source_event_id AS id, quantity::INTEGER AS q FROM usage_arrival")
    return sorted(tuple(row.values()) for row in found)


@pytest.mark.parametrize(
    ("kind", "verb", "reason"),
    [
        ("500", "GET", "not_answered"),
        ("denied", "GET", "denied"),
        ("denied", "HEAD", "denied"),
        ("flipped", "GET", "damaged"),
    ],
)
def test_the_others_are_published_and_the_next_run_reads_it(proxy, behind, kind, verb, reason):
    # given an object that cannot be read
    proxy.faults = [Fault(kind, verb + OF_BAD, OFTEN)]

    # when its day is ingested, then the other object is published, and this one named with its reason
    assert ingest(behind, DAY)["objects_unread"] == 1
    assert quantities(behind) == [("a", 1)]
    etag = behind.client.head_object(Bucket="landing", Key=f"{behind.name}/{BAD}")["ETag"]
    assert ledger(behind) == [(STREAM, DAY, BAD, etag.strip('"'), reason)]
    assert lookup.backlog(STREAM) == [BAD]
    assert behind.rows("SELECT raw_object_key FROM manifest") == [{"raw_object_key": GOOD}]

    # when it can be read again, then the next run reads it
    proxy.faults = []
    assert ingest(behind, NEXT)["objects_unread"] == 0
    assert quantities(behind) == [("a", 1), ("b", 2), ("b", 2), ("c", 4)]
    assert (ledger(behind), lookup.backlog(STREAM)) == ([], [])


def test_people_see_it_where_they_look(proxy, behind, capsys):
    proxy.faults = [Fault("denied", "GET" + OF_BAD, OFTEN)]

    # where they started it
    assert cli.main(["ingest", STREAM, "--landed", str(DAY)]) == 1
    said = capsys.readouterr()
    assert "objects 1, objects_refused 0, objects_unread 1" in said.out
    assert f"not read (denied): {BAD}: get s3://landing/" in said.err
    assert "check AWS_ACCESS_KEY_ID and its policy" in said.err
    # in the statement of the day
    (stream,) = lookup.statement(DAY)["streams"]
    assert stream["landed"]["unread"] == [{"raw_object_key": BAD, "reason": "denied"}]
    text = lookup.statement_text(DAY)
    assert f"  not read      1 object, for a later run to read\n    {BAD} (denied)\n" in text
    # and in status
    assert cli.main(["status"]) == 0
    said = capsys.readouterr()
    assert f"{STREAM}: 1 landed objects not read yet\n  {BAD} (denied)\n" in said.out


@pytest.mark.parametrize(("times", "ended"), [(1, 0), (OFTEN, 1)], ids=["read later", "never read"])
def test_a_range_ends_with_what_is_still_unread(proxy, behind, capsys, times, ended):
    proxy.faults = [Fault("denied", "GET" + OF_BAD, times)]

    assert cli.main(["ingest", STREAM, "--landed", str(DAY), "--to", str(NEXT)]) == ended

    said = capsys.readouterr()
    assert "objects_unread 1" in said.out.splitlines()[0]
    assert [BAD in line for line in said.err.splitlines()] == [True] * ended
    assert len(ledger(behind)) == ended


@pytest.mark.parametrize("again", [False, True], ids=["same bytes", "other bytes"])
def test_what_was_published_of_it_stays_until_it_can_be_read(proxy, behind, undisturbed, again):
    # given two objects that were read
    ingest(behind, DAY)
    before = quantities(behind)
    # when one of them can no longer be read, or not the version that has replaced it, and another lands
    if again:
        behind.land(BAD, lines(event("d", 8)), evening())
    behind.land(key(partition=2), lines(event("e", 16)), evening())
    proxy.faults = [Fault("denied", "GET" + OF_BAD, OFTEN)]
    assert ingest(behind, DAY)["objects_unread"] == 1

    # then its published rows stay, in every table, and it is named
    assert quantities(behind) == sorted([*before, ("e", 16)])
    (counted,) = behind.rows("""
        SELECT (SELECT sum(records)::INTEGER FROM manifest) AS records,
            (SELECT count(*) FROM usage_arrival) + (SELECT count(*) FROM quarantine) AS rows,
            (SELECT sum(rows_in)::INTEGER FROM tally WHERE meter IS NULL) AS tallied""")
    assert set(counted.values()) == {7}
    assert [row[2] for row in ledger(behind)] == [BAD]
    assert lookup.backlog(STREAM) == [BAD]

    # when it can be read, then the next run reads it, and nothing tells the lakes apart
    proxy.faults = []
    ingest(behind, NEXT)
    assert ledger(behind) == []
    assert published(behind) == calm(undisturbed, DAY, NEXT)


@pytest.mark.parametrize("what", ["replaced", "vanished"])
def test_what_changes_between_listing_and_reading_holds_back_no_other(behind, what, capsys):
    # given a run that has listed two objects, of which one is replaced or deleted before it is read
    run = "run"
    stages.extract(STREAM, DAY, run)
    if what == "replaced":
        behind.land(BAD, lines(event("z", 8)), evening())
    else:
        behind.client.delete_object(Bucket="landing", Key=f"{behind.name}/{BAD}")
    finish(run, 0)

    assert quantities(behind) == [("a", 1)]
    assert [(row[2], row[4]) for row in ledger(behind)] == [(BAD, what)]
    ingest(behind, NEXT)
    # then a new version is read, and what is gone stays named: it was there, and nobody read it
    if what == "replaced":
        assert (quantities(behind), ledger(behind)) == ([("a", 1), ("z", 8)], [])
    else:
        assert [(row[2], row[4]) for row in ledger(behind)] == [(BAD, what)]
        # and people are told what to do about it
        assert f"{BAD} (vanished): its producer must deliver it again" in lookup.statement_text(DAY)
        assert cli.main(["status"]) == 0
        assert f"{BAD} (vanished: ask its producer to deliver it again" in capsys.readouterr().out


def test_what_vanished_is_lost_once_no_run_looks_back_to_it(behind, capsys):
    # given an object that was deleted before it was read, and the last run that looks back to it
    stages.extract(STREAM, DAY, "run")
    behind.client.delete_object(Bucket="landing", Key=f"{behind.name}/{BAD}")
    finish("run", 0)
    last = DAY + timedelta(days=35)
    ingest(behind, last)
    assert [(row[2], row[4]) for row in ledger(behind)] == [(BAD, "vanished")]

    # when the next day is ingested, then it is told a last time, with what would bring it back
    days = [str(last + timedelta(days=n)) for n in (1, 2)]
    assert cli.main(["ingest", STREAM, "--landed", days[0]]) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"not read (lost): {BAD}: it was gone before a run could read it")
    assert told.endswith(f"run `usage-export ingest {STREAM} --landed {DAY}`")

    # then it stays on record, and waits no longer
    assert cli.main(["ingest", STREAM, "--landed", days[1]]) == 0
    assert [(row[1], row[2], row[4]) for row in ledger(behind)] == [(DAY, BAD, "lost")]
    assert f"  lost          1 object, gone from landing unread\n    {BAD}\n" in (
        lookup.statement_text(DAY)
    )
    assert cli.main(["status"]) == 0
    counted = f"{STREAM}: 0 landed objects not read yet, 1 lost (see the table unread)\n"
    assert counted in capsys.readouterr().out

    # when it is delivered again after all, then that command reads it
    behind.land(BAD, lines(event("b", 2)), evening())
    ingest(behind, DAY)
    assert (quantities(behind), ledger(behind)) == ([("a", 1), ("b", 2)], [])


def test_only_what_is_known_to_be_gone_is_lost(behind):
    landing, known = Store(settings.from_environment().landing), contract.load(CONTRACTS, STREAM)
    keys = {"of another path": "old/place.json.gz", "there": GOOD, "gone": key(partition=9)}
    unread = [Unread(DAY, one, "etag", "denied", "") for one in keys.values()]

    for days, lost in ((35, []), (36, [keys["gone"]])):
        found = extract.lost(landing, known, DAY + timedelta(days=days), unread)
        assert [(one.key, one.reason) for one in found] == [(one, "lost") for one in lost]


@pytest.mark.parametrize(
    ("kind", "error", "verb"),
    [
        ("500", StoreUnavailable, "GET"),
        ("reset", StoreUnavailable, "HEAD"),
        ("denied", Denied, "GET"),
    ],
)
def test_where_nothing_can_be_read_it_is_not_the_objects(proxy, behind, kind, error, verb):
    proxy.faults = [Fault(kind, verb + r" /landing/.*json", OFTEN)]

    with pytest.raises(error, match=r"s3://landing/.*usage\.events\+0\+"):
        ingest(behind, DAY)

    if verb == "HEAD":  # not even listed
        assert behind.release().number == 0
    else:  # named all the same
        assert [(row[2], row[4]) for row in ledger(behind)] == [
            (GOOD, "batch_failed"),
            (BAD, "batch_failed"),
        ]


def test_many_that_are_not_answered_for_are_an_outage(proxy, behind, monkeypatch):
    monkeypatch.setattr("etl.unread.MOST_UNANSWERED", 1)
    for n in (2, 3):
        behind.land(key(partition=n), lines(event(f"n{n}")), evening())
    proxy.faults = [Fault("500", r"GET /landing/.*%2B[12]%2B", OFTEN)]

    with pytest.raises(StoreUnavailable, match=r"usage\.events\+1\+"):
        ingest(behind, DAY)


def test_a_batch_that_left_nothing_is_named_and_the_others_are_published(
    behind, undisturbed, monkeypatch
):
    # given a batch an object, of which one was never finished
    monkeypatch.setattr(manifest, "BATCH_OBJECTS", 1)
    run = "run"
    assert stages.extract(STREAM, DAY, run)["batches"] == [0, 1]
    finish(run, 0)

    # then what was read is published, and its object is named
    assert quantities(behind) == [("a", 1)]
    assert [(row[2], row[4]) for row in ledger(behind)] == [(BAD, "batch_failed")]
    (one,) = stages.unread(STREAM, run)
    assert one["said"] == "batch 1 was not read: see the log of its task"
    ingest(behind, NEXT)
    assert published(behind) == calm(undisturbed, DAY, NEXT)


def test_batches_that_were_all_killed_are_named_and_take_nothing_back(behind):
    ingest(behind, DAY)
    before = quantities(behind)
    behind.land(key(partition=2), lines(event("e", 16)), evening())
    stages.extract(STREAM, DAY, "run")
    finish("run")

    assert quantities(behind) == before
    assert [row[2] for row in ledger(behind)] == [GOOD, BAD, key(partition=2)]


def test_a_batch_that_raises_holds_back_no_other_batch_and_no_other_day(
    behind, undisturbed, monkeypatch, capsys
):
    # given a batch an object, and a mapping that raises on every record of one object
    monkeypatch.setattr(manifest, "BATCH_OBJECTS", 1)
    wrong = sql.model("normalize/app_usage").replace(
        "exact_quantity(quantity)", "if(quantity IN ('2', '4'), 'x', quantity)::BIGINT"
    )
    behind.land(key(NEXT), lines(event("n", 8, at=f"{NEXT}T10:00:00Z")), evening(NEXT))

    # when both days are ingested by the command
    with monkeypatch.context() as patch:
        patch.setattr(mapping, "query", lambda _: wrong)
        ended = cli.main(["ingest", STREAM, "--landed", str(DAY), "--to", str(NEXT)])

    # then it ends with the list of what was not read, and everything else is published
    assert ended == 1
    (listed,) = capsys.readouterr().err.splitlines()
    said = f"not read (batch_failed): {BAD}: batch 1: ContractError: app_usage/1.0.0.yaml: usage"
    assert listed.startswith(said)
    assert quantities(behind) == [("a", 1), ("n", 8)]
    assert [(row[2], row[4]) for row in ledger(behind)] == [(BAD, "batch_failed")]

    # when the mapping is mended, then nothing tells it from a lake where it was right
    ingest(behind, NEXT)
    assert published(behind) == calm(undisturbed, DAY, NEXT)


def test_a_command_of_which_every_batch_raises_names_all_it_did_not_read(
    behind, monkeypatch, capsys
):
    text = sql.model("normalize/app_usage")
    wrong = text.replace("exact_quantity(quantity)", "('x' || quantity)::BIGINT")
    monkeypatch.setattr(mapping, "query", lambda _: wrong)

    assert cli.main(["ingest", STREAM, "--landed", str(DAY)]) == 1

    said, *keys = capsys.readouterr().err.splitlines()
    assert said.startswith("not read (batch_failed): 2 objects: batch 0: ContractError: ")
    assert keys == [f"  {GOOD}", f"  {BAD}"]
    assert [row[2] for row in ledger(behind)] == [GOOD, BAD]
    (stream,) = lookup.statement(DAY)["streams"]
    assert len(stream["landed"]["unread"]) == 2


@pytest.mark.parametrize(("quantity", "minute"), [(8, 0), (1, 30)], ids=["bytes", "arrival"])
def test_what_an_earlier_plan_of_the_same_run_left_is_not_taken_for_a_batch(
    behind, monkeypatch, quantity, minute
):
    monkeypatch.setattr(manifest, "BATCH_OBJECTS", 1)
    run = "run"
    behind.land(BAD, lines(event("z", 1)), evening())
    stages.extract(STREAM, DAY, run)
    stages.normalize(STREAM, run, 1)
    behind.land(BAD, lines(event("z", quantity)), evening(minute=minute))

    stages.extract(STREAM, DAY, run)
    finish(run, 0)

    assert quantities(behind) == [("a", 1)]


def test_without_dates_in_keys_it_moves_to_the_date_of_its_arrival_once_that_is_known(
    proxy, behind, tmp_path, monkeypatch
):
    # given a layout without dates, and an object that arrived on the day before and says nothing
    contracts = shutil.copytree(ROOT / "contracts" / STREAM, tmp_path / "contracts" / STREAM)
    (path,) = contracts.glob("*.yaml")
    dated = "topics/usage.events/year={yyyy}/month={MM}/day={dd}/*.json.gz"
    path.write_text(path.read_text().replace(dated, "events/*.json.gz"))
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(tmp_path / "contracts"))
    behind.land("events/a.json.gz", lines(event("a", 1)), evening(NEXT))
    behind.land("events/b+1+0.json.gz", lines(event("b", 2)), evening(DAY))
    proxy.faults = [Fault("denied", "HEAD" + OF_BAD, OFTEN)]

    # when the next day is ingested, then it is named under that day, and only there
    ingest(behind, NEXT)
    assert quantities(behind) == [("a", 1)]
    assert [(row[1], row[2]) for row in ledger(behind)] == [(NEXT, "events/b+1+0.json.gz")]

    # when it can be read, then under its own, and nothing is left of the name
    proxy.faults = []
    ingest(behind, NEXT + timedelta(days=1))
    assert quantities(behind) == [("a", 1), ("b", 2)]
    assert ledger(behind) == []
    found = behind.rows("SELECT raw_object_key AS key, landed_date AS day FROM manifest ORDER BY 1")
    assert [tuple(row.values()) for row in found] == [
        ("events/a.json.gz", NEXT),
        ("events/b+1+0.json.gz", DAY),
    ]


def test_an_object_that_does_not_say_when_it_arrived_holds_back_no_other(behind):
    place = {"Bucket": "landing", "Key": f"{behind.name}/{BAD}"}
    behind.client.put_object(**place, Body=b"", Metadata={"delivered-at": "yesterday"})

    ingest(behind, DAY)

    assert quantities(behind) == [("a", 1)]
    assert [(row[2], row[4]) for row in ledger(behind)] == [(BAD, "no_arrival")]


def test_a_date_that_lost_an_object_stays_as_published_and_holds_back_no_other(behind, capsys):
    ingest(behind, DAY)
    place = {"Bucket": "landing", "Key": f"{behind.name}/{BAD}"}
    body = behind.client.get_object(**place)["Body"].read()
    behind.client.delete_object(**place)
    late = key(offset=9)
    behind.land(late, lines(event("late", 8)), evening(NEXT))
    behind.land(key(NEXT), lines(event("next", 16, at=f"{NEXT}T09:00:00Z")), evening(NEXT))

    assert cli.main(["ingest", STREAM, "--landed", str(NEXT)]) == 1

    assert quantities(behind) == [("a", 1), ("b", 2), ("b", 2), ("c", 4), ("next", 16)]
    assert [(row[2], row[4]) for row in ledger(behind)] == [(late, "withheld")]
    said = capsys.readouterr().err
    assert (
        f"not read (withheld): {late}: app_usage: 1 object read before, gone from landing" in said
    )
    with pytest.raises(SourceError, match=r"restore them; to take back .* an empty object"):
        ingest(behind, DAY)

    behind.land(BAD, body, evening())
    ingest(behind, NEXT)
    assert ("late", 8) in quantities(behind)
    assert ledger(behind) == []

    behind.land(BAD, b"", evening())  # deleted on purpose: what was read of it is taken back
    ingest(behind, NEXT)
    assert quantities(behind) == [("a", 1), ("late", 8), ("next", 16)]


def test_a_replay_is_all_or_nothing(proxy, behind):
    ingest(behind, DAY)
    before = behind.release()
    proxy.faults = [Fault("denied", "GET" + OF_BAD, OFTEN)]

    with pytest.raises(SourceError, match=r"1 object of app_usage .*\+1\+.* nothing was published"):
        replay.replay(STREAM, DAY, DAY, "what it would change", False, "replay", lambda _: None)

    assert behind.release() == before


def finish(run: str, *batches: int) -> None:
    for number in batches:
        stages.normalize(STREAM, run, number)
    stages.collect(STREAM, run)
    stages.validate_arrivals(STREAM, run)
    stages.publish_arrivals(STREAM, run)
