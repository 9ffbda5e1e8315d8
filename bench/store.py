"""The object store of the bench: a SeaweedFS of its own, and a landing and lake that a contender starts from."""

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
        client, size = self.store.client(), 0
        for day in days:
            metadata = {"delivered-at": f"{generate.delivered_at(day).isoformat()}Z"}
            for path in generate.objects(self.folder, day):
                key = path.relative_to(self.folder).as_posix()
                client.put_object(
                    Bucket="landing", Key=key, Body=path.read_bytes(), Metadata=metadata
                )
                size += path.stat().st_size
        return size

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
