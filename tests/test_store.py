"""Object storage: created once, replaced only as seen, read only as pinned."""

import os
import threading
from hashlib import sha256
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from etl.errors import Corrupt, ObjectChanged, SettingError, SourceError, StoreUnavailable
from etl.lake import sha256_of
from etl.settings import Location
from etl.store import Store
from tests import fault_proxy
from tests.events import evening
from tests.fault_proxy import Fault


@pytest.fixture
def store(lake) -> Store:
    return Store(Location("lake", f"{lake.name}/"))


def test_an_object_is_created_once(store):
    assert store.create("a/b", b"first")
    assert store.create("a/b", b"first"), (
        "the same bytes are as good as ours: an answer may be lost"
    )
    assert not store.create("a/b", b"second")
    assert store.read("a/b").data == b"first"


def test_of_many_creators_one_wins(store):
    won: list[int] = []
    race([lambda n=n: won.append(n) if store.create("one", b"%d" % n) else None for n in range(8)])

    assert len(won) == 1
    assert store.read("one").data == b"%d" % won[0]


def test_an_object_is_replaced_only_as_it_was_seen(store):
    assert store.replace("a", b"1", None, {"release": "1"})
    seen = store.read("a")
    assert store.replace("a", b"2", seen, {"release": "2"})
    assert not store.replace("a", b"3", seen, {}), "somebody moved it on"
    assert not store.replace("a", b"3", None, {}), "somebody made it"

    found = store.read("a")
    assert (found.data, found.metadata["release"]) == (b"2", "2")


def test_a_pinned_object_is_read_as_it_was_pinned(store, tmp_path):
    store.write("a", b"seven b")

    pinned = store.pin("a")

    assert pinned.size_bytes == 7
    found = store.fetch(pinned, tmp_path / "a")
    assert found == sha256(b"seven b").hexdigest()
    assert (tmp_path / "a").read_bytes() == b"seven b"


def test_an_object_replaced_after_it_was_pinned_is_not_read(store, tmp_path):
    store.write("a", b"old")
    pinned = store.pin("a")
    store.write("a", b"new")

    with pytest.raises(ObjectChanged, match=rf"{store.location.url('a')}: .*run again"):
        store.fetch(pinned, tmp_path / "a")


def test_an_object_deleted_after_it_was_pinned_is_named(store, lake, tmp_path):
    store.write("a", b"old")
    pinned = store.pin("a")
    lake.client.delete_object(Bucket="lake", Key=store.location.key("a"))

    with pytest.raises((SourceError, ObjectChanged), match=store.location.url("a")):
        store.fetch(pinned, tmp_path / "a")


def test_a_published_file_with_other_bytes_is_corrupt(store, tmp_path):
    store.write("usage_daily/x.parquet", b"not what the release says")

    with pytest.raises(
        Corrupt, match=r"usage_daily/x.parquet: it has sha256 .*: restore the object"
    ):
        store.fetch_verified("usage_daily/x.parquet", tmp_path / "x", "0" * 64)


def test_a_file_is_not_put_over_other_bytes(store, tmp_path):
    (tmp_path / "x").write_bytes(b"mine")
    store.create_file("x", tmp_path / "x", sha256_of(tmp_path / "x"))
    store.create_file("x", tmp_path / "x", sha256_of(tmp_path / "x"))
    (tmp_path / "x").write_bytes(b"other")

    with pytest.raises(Corrupt, match="remove it"):
        store.create_file("x", tmp_path / "x", sha256_of(tmp_path / "x"))


def test_a_file_that_is_no_longer_what_was_hashed_is_not_put(store, tmp_path):
    (tmp_path / "x").write_bytes(b"changed since")

    with pytest.raises(Corrupt, match="BadDigest: what was sent is not what was hashed"):
        store.create_file("x", tmp_path / "x", sha256(b"as it was").hexdigest())
    assert not store.exists("x")


def test_a_listing_is_complete_over_its_pages_and_stays_below_the_prefix(store, lake, monkeypatch):
    for n in range(7):
        store.write(f"many/{n} ü+%", b"x" * n)
    store.write("other/1", b"")
    paged = store._client.get_paginator("list_objects_v2")
    small = paged.paginate
    monkeypatch.setattr(paged, "paginate", lambda **k: small(PaginationConfig={"PageSize": 3}, **k))
    monkeypatch.setattr(store._client, "get_paginator", lambda _: paged)

    found = store.list("many/")

    assert {key: size for key, (_, size) in found.items()} == {f"many/{n} ü+%": n for n in range(7)}


def test_arrival_is_what_the_metadata_says_else_when_it_was_written(store, lake):
    lake.land("stated", b"", evening())
    lake.client.put_object(Bucket="landing", Key=f"{lake.name}/plain", Body=b"")
    landing = Store(Location("landing", f"{lake.name}/"))

    assert landing.pin("stated").delivered_at == evening()
    assert landing.pin("plain").delivered_at.year >= 2025
    assert landing.pin("plain").delivered_at.tzinfo is None


@pytest.mark.parametrize(
    "stated",
    ["yesterday", "2026-11-18T10:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00"],
)
def test_an_arrival_time_that_says_nothing_names_the_object(lake, stated):
    place = {"Bucket": "landing", "Key": f"{lake.name}/odd"}
    lake.client.put_object(**place, Body=b"", Metadata={"delivered-at": stated})

    with pytest.raises(SourceError, match=f"{lake.name}/odd: metadata delivered-at"):
        Store(Location("landing", f"{lake.name}/")).pin("odd")


def test_what_is_not_there_is_none_or_named(store):
    assert store.read("nothing") is None
    with pytest.raises(SourceError, match=r"nothing: there is no such object"):
        store.pin("nothing")


def test_a_bucket_that_is_not_there_is_a_setting_to_fix(lake):
    with pytest.raises(
        SettingError, match=r"s3://no-such-bucket/.*does not exist: create it or fix"
    ):
        Store(Location("no-such-bucket", "")).read("a")


@pytest.mark.parametrize("wrong", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials_are_a_setting_to_fix(lake, monkeypatch, wrong):
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers credentials
    monkeypatch.setenv(wrong, "wrong")

    with pytest.raises(SettingError, match=f"check {wrong}"):
        Store(Location("lake", "")).list("")


def test_a_store_that_does_not_answer_can_be_tried_again(lake, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setattr("etl.refusal.ATTEMPTS", 2)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)

    with pytest.raises(StoreUnavailable, match="s3://lake/a"):
        Store(Location("lake", "")).read("a")


def race(actions: list) -> None:
    threads = [threading.Thread(target=action) for action in actions]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def test_what_vanishes_while_it_is_compared_is_created(store, monkeypatch):
    """A sweep may delete what stood in the way, between the refusal and the look at it."""

    def refuses(*_):
        monkeypatch.undo()
        return False

    monkeypatch.setattr(store, "_conditional", refuses)

    assert store.create("k", b"mine")
    assert store.read("k").data == b"mine"


def test_a_landed_object_without_a_checksum_is_held_to_its_etag(lake, object_store, monkeypatch):
    """The MD5 of what a producer put is all that is known of it."""
    plain = Config(request_checksum_calculation="when_required")
    client = boto3.client("s3", endpoint_url=object_store.endpoint, config=plain)
    client.put_object(Bucket="landing", Key=f"{lake.name}/k", Body=b"some usage" * 100)
    with fault_proxy.running(object_store.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        landing = Store(Location("landing", f"{lake.name}/"))
        pinned = landing.pin("k")
        proxy.faults = [Fault("flipped", "GET", 2)]
        assert landing.fetch(pinned, Path(os.devnull)) == sha256(b"some usage" * 100).hexdigest()

        proxy.faults = [Fault("flipped", "GET", 1000)]
        with pytest.raises(Corrupt, match=r"landing/.*/k: it has MD5 .* was put: restore"):
            landing.fetch(pinned, Path(os.devnull))


def test_delete_takes_what_is_there_and_does_not_mind_what_is_not(store):
    store.write("a", b"1")
    store.delete(["a", "never"])
    assert not store.exists("a")
    assert store.list("") == {}
