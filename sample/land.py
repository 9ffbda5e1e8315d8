"""Put a sample into a landing bucket, or into a folder."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sample.model import LandedObject, Sample


def land(sample: Sample, bucket: str, prefix: str, client: Any) -> int:
    """Put the objects of a sample; returns how many were new."""
    return land_objects(sample.objects, bucket, prefix, client)


def land_objects(objects: Iterable[LandedObject], bucket: str, prefix: str, client: Any) -> int:
    """Put objects with their delivery time as metadata `delivered-at`; returns how many were new.

    An object that is there with the same bytes is left alone, so landing twice changes nothing.
    """
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    there = {
        one["Key"]: one["ETag"].strip('"') for page in pages for one in page.get("Contents", [])
    }
    new = 0
    for one in objects:
        if there.get(prefix + one.key) != hashlib.md5(one.body, usedforsecurity=False).hexdigest():
            metadata = {"delivered-at": one.delivered_at.isoformat() + "Z"}
            client.put_object(Bucket=bucket, Key=prefix + one.key, Body=one.body, Metadata=metadata)
            new += 1
    return new


def write(sample: Sample, folder: Path) -> None:
    """Write the objects as files below a folder, to look at; their delivery times are not kept."""
    for one in sample.objects:
        path = folder / one.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.body)
