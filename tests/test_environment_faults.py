"""A machine or an account that is not as it should be: exit 1, the setting and the remedy, nothing half-published."""

import os
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from deploy.embedded import process
from etl import cli, stages
from tests import fault_proxy
from tests.conftest import Lake, decide
from tests.events import DAY, evening, event, key, lines
from tests.fault_proxy import Fault

pytestmark = pytest.mark.usefixtures("quick_judge")

INGEST = ["ingest", "app_usage", "--landed", str(DAY)]
BUILD = ["build", "--usage-date", str(DAY)]


@pytest.fixture(scope="module")
def template(object_store) -> Lake:
    """A lake with one date published, and another object that waits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etl.judge.judge", decide)
        lake = Lake(object_store, "environment-faults", patch)
        lake.land(key(), lines(*(event(f"e{n}", n) for n in range(1, 20))), evening())
        lake.run("app_usage", DAY)
        lake.land(key(offset=100), lines(*(event(f"f{n}", n) for n in range(1, 20))), evening())
    return lake


@pytest.fixture
def ready(template, lake, monkeypatch) -> Lake:
    """A copy of that lake, for one test alone; retries do not sleep."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    monkeypatch.setattr("etl.refusal.ATTEMPTS", 2)
    return lake.copy_of(template)


@pytest.fixture
def tiny(tmp_path) -> Iterator[Path]:
    """A folder on a disk of 256 kB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk needs the right to mount one")
    yield folder
    subprocess.run(["umount", folder], check=True)


def expect_healed(ready) -> None:
    """With the machine mended, the same commands end well."""
    assert cli.main(INGEST) == cli.main(BUILD) == 0
    assert ready.rows("SELECT sum(events)::INTEGER AS n FROM usage_daily") == [{"n": 38}]


def published(ready) -> dict:
    """All but the names of what could not be read."""
    return {name: one for name, one in ready.release().body["tables"].items() if name != "unread"}


@pytest.mark.parametrize(
    ("kind", "pattern", "says"),
    [
        ("denied", "PUT /lake/", ("Denied: put s3://lake/", "AccessDenied", "its policy")),
        ("denied", "GET /landing/", ("Denied: ", "s3://landing/", "AccessDenied")),
        ("skewed", ".*", ("SettingError: ", "the clock of this machine is off: set it")),
    ],
    ids=["read-only lake", "landing denied", "clock"],
)
def test_what_the_store_refuses_is_named(
    ready, object_store, monkeypatch, capsys, kind, pattern, says
):
    before = published(ready)
    with fault_proxy.running(object_store.endpoint) as proxy, monkeypatch.context() as wrong:
        proxy.faults = [Fault(kind, pattern, 1000)]
        wrong.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        assert cli.main(INGEST) == 1
        told = capsys.readouterr().err
    for text in says:
        assert text in told
    assert published(ready) == before
    if pattern == "PUT /lake/":
        expect_healed(ready)


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("USAGE_EXPORT_LAKE", "s3://no-such-bucket/x", "s3://no-such-bucket/x/"),
        ("USAGE_EXPORT_LANDING", "s3://no-such-bucket/x", "the bucket does not exist: create it"),
        ("AWS_ENDPOINT_URL_S3", "http://no-such-host.invalid:9", "is AWS_ENDPOINT_URL_S3 right"),
        ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9", "is AWS_ENDPOINT_URL_S3 right"),
        ("AWS_ACCESS_KEY_ID", "nobody", "check AWS_ACCESS_KEY_ID"),
        ("USAGE_EXPORT_MEMORY", "1MB", "USAGE_EXPORT_MEMORY is not enough for this day: raise it"),
    ],
    ids=["no lake", "no landing", "no such host", "store down", "wrong key", "memory"],
)
def test_a_setting_that_cannot_work_is_named(ready, monkeypatch, capsys, setting, value, says):
    before = ready.release().body
    with monkeypatch.context() as wrong:
        wrong.setattr("boto3.DEFAULT_SESSION", None)  # it remembers credentials
        wrong.setenv(setting, value)
        assert cli.main(INGEST) == 1
        told = capsys.readouterr().err
    assert says in told, told
    assert ready.release().body == before


def test_a_full_scratch_disk_is_named(ready, monkeypatch, capsys, tiny):
    before = ready.release().body
    with monkeypatch.context() as wrong:
        wrong.setenv("USAGE_EXPORT_SCRATCH", str(tiny))
        (tiny / "of somebody else").write_bytes(b"x" * (252 << 10))
        assert cli.main(INGEST) == 1
        told = capsys.readouterr().err
    assert f"USAGE_EXPORT_SCRATCH: {tiny} is full: free space there" in told, told
    assert [one.name for one in tiny.iterdir()] == ["of somebody else"]
    assert ready.release().body == before
    expect_healed(ready)


def test_a_clock_that_was_set_back_orders_nothing(ready, monkeypatch):
    """Releases are numbered, arrivals ordered by delivery: the clock only says when a release was made."""
    last = ready.release()
    monkeypatch.setattr(stages, "_now", lambda: datetime(1999, 1, 1))

    assert cli.main(INGEST) == cli.main(BUILD) == 0

    now = ready.release()
    assert now.number > last.number
    assert now.body["created_at"].startswith("1999") and last.body["created_at"] > "2026"
    assert ready.rows("SELECT sum(events)::INTEGER AS n FROM usage_daily") == [{"n": 38}]


def test_a_proxy_of_the_network_is_not_asked_for_what_runs_on_this_machine(
    object_store, monkeypatch
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "intranet")

    process.reach_loopback()

    assert object_store.client().list_buckets()["Buckets"]
    assert os.environ["no_proxy"] == "intranet,127.0.0.1"
    monkeypatch.setenv("no_proxy", "*")  # spares all, but only where it stands alone
    process.reach_loopback()
    assert os.environ["no_proxy"] == "*"
