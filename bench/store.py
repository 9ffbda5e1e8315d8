"""The object store of the bench: a SeaweedFS of its own, and a landing and lake that a contender starts from."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from bench import generate
from deploy.embedded import objectstore
from deploy.embedded.objectstore import ObjectStore


@dataclass(frozen=True)
class Bench:
    """A store with a landing that holds the generated days; each run gets a lake of its own."""

    store: ObjectStore
    folder: Path

    def land(self, days: list[date]) -> int:
        """Put the objects of these days into landing; returns their bytes."""
        return sum(
            self.put(path, self.folder, day)
            for day in days
            for path in generate.objects(self.folder, day)
        )

    def put(self, path: Path, below: Path, day: date) -> int:
        """Put one object, delivered at the end of `day`; returns its bytes."""
        self.store.client().put_object(
            Bucket="landing",
            Key=path.relative_to(below).as_posix(),
            Body=path.read_bytes(),
            Metadata={"delivered-at": f"{generate.delivered_at(day).isoformat()}Z"},
        )
        return path.stat().st_size

    def release(self, lake: str) -> dict:
        """What readers of this lake see."""
        body = self.store.client().get_object(Bucket="lake", Key=f"{lake}/_release/current.json")
        return json.loads(body["Body"].read())

    def environment(self, lake: str) -> dict[str, str]:
        """What the library needs to read this landing and write that lake, on default settings."""
        return os.environ | {
            "USAGE_EXPORT_LANDING": "s3://landing",
            "USAGE_EXPORT_LAKE": f"s3://lake/{lake}",
            "USAGE_EXPORT_PII_KEY": "0123456789abcdef0123456789abcdef",
            "AWS_ACCESS_KEY_ID": self.store.access_key,
            "AWS_SECRET_ACCESS_KEY": self.store.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": self.store.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def running(folder: Path, scratch: Path) -> Iterator[Bench]:
    with objectstore.running(scratch, "bench-access", "bench-secret-key") as store:
        yield Bench(store, folder)
