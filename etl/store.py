"""Object storage: list, pin, fetch, create, replace. boto3 lives here and nowhere else.

Bodies are read inside our own retry, because botocore retries only up to the headers. Everything that is read
back is checked: a landed object against size and ETag, the MD5 of what was put in one piece (Amazon S3 API
reference, "Object"); our own against the sha256 that the release names or that was put with it.
"""

import hashlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from etl import layout, moment, proof, refusal
from etl.errors import Corrupt, ObjectChanged, SettingError, StoreUnavailable, Vanished
from etl.settings import Location, object_store

CONNECT_SECONDS, READ_SECONDS, CONNECTIONS = 5, 30, 16
Data = bytes | Path


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
    """One bucket and prefix; keys are relative to the prefix. Safe to share between threads.

    `place` tells where a key lies that is not there: a draft keeps what it would write apart.
    """

    def __init__(self, location: Location, place: Callable[[str], Location] | None = None) -> None:
        self.location, self._place = location, place or (lambda _: location)
        self._client = _client(os.getpid(), *object_store().values())

    def url(self, key: str) -> str:
        return self._place(key).url(key)

    def list(self, prefix: str, first: str = "", last: str = "") -> dict[str, tuple[str, int]]:
        """key -> (ETag, size in bytes) of what lies below `prefix`, from `first` to what begins with `last`."""
        found = self._below(prefix, first, last)
        return {key: (one["ETag"].strip('"'), one["Size"]) for key, one in found}

    def aged(self, prefix: str) -> dict[str, tuple[datetime, int, str]]:
        """key -> (last modified, naive UTC; size in bytes; ETag) of everything below `prefix`."""
        found = ((key, one, moment.naive(one["LastModified"])) for key, one in self._below(prefix))
        return {key: (at, one["Size"], one["ETag"].strip('"')) for key, one, at in found}

    def folders(self, prefix: str) -> Sequence[str]:
        """Folders right below `prefix`, each with its last slash."""
        pages = self._call("list", prefix, lambda: list(self._pages(prefix, Delimiter="/")))
        found = (one["Prefix"] for page in pages for one in page.get("CommonPrefixes", []))
        return [one[len(self.location.prefix) :] for one in found]

    def _below(self, prefix: str, first: str = "", last: str = "") -> Iterator[tuple[str, dict]]:
        # a folder stays whole: SeaweedFS takes the name of one for the end of what is in it
        start = self.location.key(first if first.endswith("/") else first[:-1])
        end = self.location.key(last) + chr(sys.maxunicode)

        def listed() -> Sequence[dict]:
            pages = (page.get("Contents") for page in self._pages(prefix, StartAfter=start))
            ours = takewhile(
                lambda page: not page or not layout.is_beyond(page[0]["Key"], end), pages
            )
            return [one for page in ours for one in page or ()]

        for one in self._call("list", prefix, listed):
            yield one["Key"][len(self.location.prefix) :], one

    def _pages(self, prefix: str, **more: str) -> Iterable[dict]:
        where = {"Bucket": self.location.bucket, "Prefix": self.location.key(prefix)}
        return self._client.get_paginator("list_objects_v2").paginate(**where, **more)

    def pin(self, key: str) -> Pinned:
        """Head of an object: what identifies its bytes, and when it was delivered."""
        head = self._call("head", key, lambda: self._client.head_object(**self._where(key)))
        etag, at = head["ETag"].strip('"'), moment.delivered_at(head, self.url(key))
        return Pinned(key, etag, head.get("VersionId"), head["ContentLength"], at)

    def fetch(self, pinned: Pinned, target: Path) -> str:
        """Write the pinned object's bytes to `target`; returns their sha256.

        Raises ObjectChanged if the object is no longer the pinned one, Corrupt if its bytes are not.
        """
        version = {"VersionId": pinned.version_id} if pinned.version_id else {}
        where = self._where(pinned.key) | version | {"IfMatch": f'"{pinned.etag}"'}

        def get() -> str:
            answer = self._client.get_object(**where)
            is_md5 = proof.is_md5(pinned.etag, answer)
            found = proof.keep(answer["Body"], target, is_md5)
            proof.expect("bytes", str(found.size), str(pinned.size_bytes))
            if is_md5:
                proof.expect("MD5", found.md5, pinned.etag)
            return found.sha256

        return self._call("get", pinned.key, get)

    def fetch_verified(self, key: str, target: Path, sha256: str | None = None) -> Path:
        """Write an object of ours to `target`; raises Corrupt unless its bytes have this sha256, or that
        which was put with it."""

        def get() -> Path:
            answer = self._client.get_object(**self._where(key))
            found = proof.keep(answer["Body"], target)
            proof.expect("sha256", found.sha256, sha256 or answer["Metadata"].get(proof.SHA256))
            return target

        return self._call("get", key, get)

    def read(self, key: str) -> Body | None:
        """A small object of ours, or None where there is none."""

        def get() -> Body:
            answer = self._client.get_object(**self._where(key))
            data = answer["Body"].read()
            found = hashlib.sha256(data).hexdigest()
            proof.expect("sha256", found, answer["Metadata"].get(proof.SHA256, found))
            return Body(data, answer["ETag"], answer["Metadata"])

        try:
            return self._call("get", key, get)
        except Vanished:
            return None

    def write(self, key: str, data: Data, metadata: dict | None = None, sha256: str = "") -> None:
        """Put an object that only this run owns (work area) or that a newer copy may replace."""
        self._call("put", key, lambda: self._put(key, data, metadata or {}, sha256))

    def create(self, key: str, data: bytes) -> bool:
        """Create once. True: these bytes are there now; False: somebody else's are."""
        return self._create(key, data, hashlib.sha256(data).hexdigest())

    def create_file(self, key: str, path: Path, sha256: str) -> None:
        """Upload a file under a key that holds its content hash; a rerun finds it and is done."""
        if not self._create(key, path, sha256):
            raise Corrupt(f"{self.url(key)} holds other bytes than its name says: remove it")

    def _create(self, key: str, data: Data, sha256: str) -> bool:
        """A lost answer looks like a lost race: what lies there is compared before giving up."""

        def get() -> str:
            body = self._client.get_object(**self._where(key))["Body"]
            return proof.keep(body, Path(os.devnull)).sha256

        for _ in range(refusal.ATTEMPTS):
            if self._conditional(key, data, {"IfNoneMatch": "*"}, {}, sha256):
                return True
            try:
                return self._call("get", key, get) == sha256
            except Vanished:  # it came and went: sweep had it
                continue
        raise StoreUnavailable(f"{self.url(key)} came and went: run again")

    def replace(self, key: str, data: bytes, seen: Body | None, metadata: dict[str, str]) -> bool:
        """Put if the object is still the one that was seen (None: still absent)."""
        mark = {"IfMatch": seen.etag} if seen else {"IfNoneMatch": "*"}
        return self._conditional(key, data, mark, metadata)

    def exists(self, key: str) -> bool:
        try:
            self._call("head", key, lambda: self._client.head_object(**self._where(key)))
        except Vanished:
            return False
        return True

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; one that is gone already is no error. Only sweep calls this."""
        bucket = self.location.bucket
        for start in range(0, len(keys), 1000):
            named = [{"Key": self.location.key(key)} for key in keys[start : start + 1000]]
            request = {"Objects": named, "Quiet": True}
            ask = partial(self._client.delete_objects, Bucket=bucket, Delete=request)
            for one in self._call("delete", keys[start], ask).get("Errors", []):
                said = f"delete s3://{bucket}/{one['Key']}: {one['Code']}"
                raise SettingError(f"{said}: allow s3:DeleteObject on the lake")

    def _conditional(
        self, key: str, data: Data, condition: dict, metadata: dict, sha256: str = ""
    ) -> bool:
        for attempt in range(refusal.ATTEMPTS):
            try:
                self._call("put", key, lambda: self._put(key, data, metadata, sha256, **condition))
                return True
            except ObjectChanged:
                return False
            except StoreUnavailable as error:
                cause = error.__cause__
                if not (isinstance(cause, ClientError) and refusal.status(cause) == 409):
                    raise
                time.sleep(0.05 * 2**attempt)  # another conditional write is in flight
        raise StoreUnavailable(f"{self.url(key)} kept being written: run again")

    def _put(self, key: str, data: Data, metadata: dict, sha256: str, **condition: str) -> None:
        """The bytes are hashed once, here or by whoever made them."""
        with data.open("rb") if isinstance(data, Path) else io.BytesIO(data) as body:
            sha256 = sha256 or hashlib.file_digest(body, "sha256").hexdigest()
            body.seek(0)
            said = proof.described(key, metadata, sha256)
            self._client.put_object(**self._where(key), Body=body, **said, **condition)

    def _where(self, key: str) -> dict[str, str]:
        place = self._place(key)
        return {"Bucket": place.bucket, "Key": place.key(key)}

    def _call(self, verb: str, key: str, action: Callable[[], refusal.T]) -> refusal.T:
        return refusal.retried(verb, self.url(key), action)


@cache
def _client(process: int, *where: str | None) -> Any:
    """One a process, endpoint and credentials: making one costs as much as a small stage."""
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 6},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=CONNECTIONS,
        s3={"addressing_style": "auto"},
    )
    try:
        return boto3.client("s3", config=config)
    except (ValueError, BotoCoreError) as error:
        raise SettingError(f"AWS_ENDPOINT_URL_S3, AWS_REGION or a profile: {error}") from error
