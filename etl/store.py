"""Object storage: list, pin, fetch, create, replace. boto3 lives here and nowhere else.

Bodies are read inside our own retry, because botocore retries only up to the headers; everything that
is read back is checked against a size and a sha256 or a pinned ETag.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from etl import refusal
from etl.errors import Corrupt, ObjectChanged, SettingError, SourceError, StoreUnavailable
from etl.settings import Location

T = TypeVar("T")
PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Pinned:
    """One landed object as a run will read it: exactly these bytes or an error."""

    key: str
    etag: str
    version_id: str | None
    size_bytes: int
    delivered_at: datetime


@dataclass(frozen=True)
class Body:
    """An object's bytes, and the mark that replace() needs to swap it safely."""

    data: bytes
    etag: str
    metadata: dict[str, str]


class Store:
    """One bucket and prefix; keys are relative to the prefix. Safe to share between threads."""

    def __init__(self, location: Location, connections: int = 16) -> None:
        self.location = location
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 6},
            connect_timeout=5,
            read_timeout=30,
            max_pool_connections=connections,
            s3={"addressing_style": "auto"},
        )
        try:
            self._client = boto3.client("s3", config=config)
        except (ValueError, BotoCoreError) as error:
            raise SettingError(f"AWS_ENDPOINT_URL_S3, AWS_REGION or a profile: {error}") from error

    def list(self, prefix: str) -> dict[str, tuple[str, int]]:
        """key -> (ETag, size in bytes) of everything below `prefix`."""
        return {key: (one["ETag"].strip('"'), one["Size"]) for key, one in self._below(prefix)}

    def aged(self, prefix: str) -> dict[str, tuple[datetime, int]]:
        """key -> (last modified, naive UTC; size in bytes) of everything below `prefix`."""
        return {key: (_naive(one["LastModified"]), one["Size"]) for key, one in self._below(prefix)}

    def _below(self, prefix: str) -> Iterator[tuple[str, dict]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.location.bucket, Prefix=self.location.key(prefix)
        )
        for page in self._call("list", prefix, lambda: list(pages)):
            for one in page.get("Contents", []):
                yield one["Key"][len(self.location.prefix) :], one

    def pin(self, key: str) -> Pinned:
        """Head of an object: what identifies its bytes, and when it was delivered."""
        head = self._call("head", key, lambda: self._client.head_object(**self._where(key)))
        return Pinned(
            key,
            head["ETag"].strip('"'),
            head.get("VersionId"),
            head["ContentLength"],
            _delivered_at(head, self.location.url(key)),
        )

    def fetch(self, pinned: Pinned, target: Path) -> str:
        """Write the pinned object's bytes to `target`; returns their sha256.

        Raises ObjectChanged if the object is no longer the pinned one.
        """
        version = {"VersionId": pinned.version_id} if pinned.version_id else {}
        where = self._where(pinned.key) | version | {"IfMatch": f'"{pinned.etag}"'}
        sha256, size = self._call("get", pinned.key, lambda: self._download(where, target))
        if size != pinned.size_bytes:
            raise Corrupt(f"{self.location.url(pinned.key)}: {size} of {pinned.size_bytes} bytes")
        return sha256

    def fetch_verified(self, key: str, sha256: str, target: Path) -> Path:
        """Write a published object to `target`; raises Corrupt unless its bytes have this sha256."""
        found, _ = self._call("get", key, lambda: self._download(self._where(key), target))
        if found != sha256:
            raise Corrupt(
                f"{self.location.url(key)} has sha256 {found}, the release says {sha256}: "
                "restore the object or rebuild its partition"
            )
        return target

    def read(self, key: str) -> Body | None:
        """A small object, or None where there is none."""

        def get() -> Body:
            answer = self._client.get_object(**self._where(key))
            return Body(answer["Body"].read(), answer["ETag"], answer["Metadata"])

        try:
            return self._call("get", key, get)
        except SourceError:
            return None

    def write(self, key: str, data: bytes, metadata: dict[str, str] | None = None) -> None:
        """Put an object that only this run owns (work area) or that a newer copy may replace."""
        self._call("put", key, lambda: self._put(key, data, Metadata=metadata or {}))

    def create(self, key: str, data: bytes) -> bool:
        """Create once. True: these bytes are there now; False: somebody else's are."""
        for _ in range(refusal.ATTEMPTS):
            if self._conditional(key, data, {"IfNoneMatch": "*"}):
                return True
            there = self.read(key)  # a lost answer looks like a lost race: compare before giving up
            if there is not None:
                return there.data == data
        raise StoreUnavailable(f"{self.location.url(key)} came and went: run again")

    def replace(self, key: str, data: bytes, seen: Body | None, metadata: dict[str, str]) -> bool:
        """Put if the object is still the one that was seen (None: still absent)."""
        mark = {"IfMatch": seen.etag} if seen else {"IfNoneMatch": "*"}
        return self._conditional(key, data, mark | {"Metadata": metadata})

    def create_file(self, key: str, path: Path) -> None:
        """Upload a file under a key that holds its content hash; a rerun finds it and is done."""
        if not self.create(key, path.read_bytes()):
            raise Corrupt(
                f"{self.location.url(key)} holds other bytes than its name says: remove it"
            )

    def exists(self, key: str) -> bool:
        try:
            self._call("head", key, lambda: self._client.head_object(**self._where(key)))
        except SourceError:
            return False
        return True

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; one that is gone already is no error. Only sweep calls this."""
        for start in range(0, len(keys), 1000):
            named = [{"Key": self.location.key(key)} for key in keys[start : start + 1000]]
            request = {"Objects": named, "Quiet": True}
            answer = self._call(
                "delete",
                keys[start],
                partial(self._client.delete_objects, Bucket=self.location.bucket, Delete=request),
            )
            for one in answer.get("Errors", []):
                raise SettingError(
                    f"delete s3://{self.location.bucket}/{one['Key']}: {one['Code']}: "
                    "the policy must allow s3:DeleteObject on the lake"
                )

    def _conditional(self, key: str, data: bytes, conditions: dict) -> bool:
        for attempt in range(refusal.ATTEMPTS):
            try:
                self._call("put", key, lambda: self._put(key, data, **conditions))
                return True
            except ObjectChanged:
                return False
            except StoreUnavailable as error:
                conflict = (
                    isinstance(error.__cause__, ClientError)
                    and refusal.status(error.__cause__) == 409
                )
                if not conflict or attempt == refusal.ATTEMPTS - 1:
                    raise
                time.sleep(0.05 * 2**attempt)  # another conditional write is in flight
        raise StoreUnavailable(self.location.url(key))

    def _put(self, key: str, data: bytes, **extra: Any) -> None:
        self._client.put_object(**self._where(key), Body=data, ChecksumAlgorithm="SHA256", **extra)

    def _where(self, key: str) -> dict[str, str]:
        return {"Bucket": self.location.bucket, "Key": self.location.key(key)}

    def _download(self, where: dict, target: Path) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        body = self._client.get_object(**where)["Body"]
        with target.open("wb") as file:
            for piece in body.iter_chunks(PIECE_BYTES):
                digest.update(piece)
                size += file.write(piece)
        return digest.hexdigest(), size

    def _call(self, verb: str, key: str, action: Callable[[], T]) -> T:
        return refusal.retried(verb, self.location.url(key), action)


def _delivered_at(head: dict, url: str) -> datetime:
    """Metadata delivered-at where a copy or producer set it, else LastModified; naive UTC."""
    stated = head["Metadata"].get("delivered-at")
    if stated is None:
        return _naive(head["LastModified"])
    try:
        moment = datetime.fromisoformat(stated)
    except ValueError as error:
        raise SourceError(f"{url}: metadata delivered-at is not RFC 3339: fix it") from error
    if moment.tzinfo is None:
        raise SourceError(f"{url}: metadata delivered-at has no zone: fix it")
    return _naive(moment)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
