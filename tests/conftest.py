"""Real parts for the suite: one SeaweedFS for all tests, and a lake and landing of its own for each test."""

import os
import re
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest

from deploy.embedded import objectstore
from deploy.embedded.objectstore import ObjectStore

SHARED_DATA = Path(__file__).parent.parent.parent / "shared" / "data" / "usage"
FIRST = ("test_stack.py", "test_airflow_day.py", "test_airflow_faults.py")
LONG = ("test_kill.py", "test_concurrent.py", "test_unread.py", "test_validate.py")
PII_KEY = "0123456789abcdef0123456789abcdef"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, of them those that start Airflow: what is long and begins last has one core idle."""
    items.sort(
        key=lambda one: (
            one.path.name not in FIRST,
            not one.get_closest_marker("airflow"),
            one.path.name not in LONG,
        )
    )


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with objectstore.running(
        tmp_path_factory.mktemp("store"), "test-access", "test-secret-key"
    ) as store:
        yield store


class Lake:
    """Landing and lake of one test, with the environment set so that the library finds them."""

    def __init__(self, store: ObjectStore, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.client, self.name = store.client(), name
        self.settings = {
            "USAGE_EXPORT_LANDING": f"s3://landing/{name}",
            "USAGE_EXPORT_LAKE": f"s3://lake/{name}",
            "USAGE_EXPORT_PII_KEY": PII_KEY,
            "USAGE_EXPORT_MEMORY": "512MB",
            "USAGE_EXPORT_THREADS": "2",
            "AWS_ACCESS_KEY_ID": store.access_key,
            "AWS_SECRET_ACCESS_KEY": store.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": store.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        for setting, value in self.settings.items():
            monkeypatch.setenv(setting, value)

    def land(self, key: str, body: bytes, delivered_at: datetime) -> None:
        metadata = {"delivered-at": delivered_at.isoformat() + "Z"}
        self.client.put_object(
            Bucket="landing", Key=f"{self.name}/{key}", Body=body, Metadata=metadata
        )

    def copy_of(self, other: "Lake") -> "Lake":
        """Landing and lake of another, less its work areas: cheaper than making them again."""
        for bucket in ("landing", "lake"):
            found = self.client.list_objects_v2(Bucket=bucket, Prefix=f"{other.name}/")
            for one in found["Contents"]:
                target = one["Key"].replace(other.name, self.name, 1)
                if "/_work/" not in target:
                    source = {"Bucket": bucket, "Key": one["Key"]}
                    self.client.copy_object(Bucket=bucket, Key=target, CopySource=source)
        return self

    def read(self, key: str) -> bytes:
        return self.client.get_object(Bucket="lake", Key=f"{self.name}/{key}")["Body"].read()

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket="lake", Prefix=f"{self.name}/{prefix}"
        )
        return [
            one["Key"].removeprefix(f"{self.name}/")
            for page in pages
            for one in page.get("Contents", [])
        ]

    def ingest(self, stream: str, landed: date) -> dict:
        from etl import stages

        return stages.ingest(stream, landed, f"test-{stream}-{landed}")

    def build(self, stream: str, usage_date: date) -> dict:
        from etl import stages

        return stages.build(usage_date, stream, f"test-{usage_date}")

    def run(self, stream: str, *landed: date) -> list[str]:
        """Ingest the landed dates, build what they announce; returns the dates that were built."""
        announced = sorted(
            {day for one in landed for day in self.ingest(stream, one)["usage_dates"]}
        )
        for day in announced:
            self.build(stream, date.fromisoformat(day))
        return announced

    def rows(self, query: str, release: int | None = None) -> list[dict]:
        """A query over the current or an older release, through the views that analysts use."""
        from etl import catalog, lookup, sql

        with catalog.open_release(*lookup.open_release(release)) as connection:
            return sql.rows(connection, query)

    def release(self):
        from etl import lookup

        return lookup.open_release()[0]


@pytest.fixture
def lake(
    object_store: ObjectStore, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Lake:
    name = re.sub(r"[^A-Za-z0-9]", "-", request.node.name)[:60] + f"-{os.getpid()}-{id(request):x}"
    return Lake(object_store, name, monkeypatch)


def decide(suite: dict, violations: dict[str, int], *_: object) -> list[dict]:
    """What Great Expectations decides, from the same counts, in no time."""
    severity = {
        one["kwargs"]["column"]: (one["severity"], one["kwargs"]["max_value"])
        for one in suite["expectations"]
    }
    return [
        {"rule": rule, "severity": severity[rule][0], "success": n <= severity[rule][1]}
        | {"violations": n}
        for rule, n in sorted(violations.items())
    ]


@pytest.fixture
def quick_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rule still counts and still stops a publication; its Data Docs page is not rendered.
    For tests of something else; test_validate shows that both judges agree."""
    from etl import judge

    monkeypatch.setattr(judge, "judge", decide)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip("the shared sample data is not beside this checkout")
    return SHARED_DATA
