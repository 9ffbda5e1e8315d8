"""Bytes on their way from a store to disk, and the proof that they are those that were put."""

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PIECE_BYTES = 1 << 20
SHA256 = "sha256"  # metadata of every object of ours


class Damaged(Exception):
    """What was read is not what was put: on the way, where reading again helps, or for good."""


@dataclass(frozen=True)
class Kept:
    """What arrived."""

    size: int
    sha256: str
    md5: str | None


def described(key: str, metadata: dict[str, str], sha256: str) -> dict[str, Any]:
    """What an object says of itself: its proof, and, for whoever opens it from the bucket, that it is a page. The
    store compares the checksum with what arrives."""
    kind = {"ContentType": "text/html; charset=utf-8"} if key.endswith(".html") else {}
    checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
    return {"Metadata": metadata | {SHA256: sha256}, "ChecksumSHA256": checksum, **kind}


def keep(body: Any, target: Path, with_md5: bool = False) -> Kept:
    """Write a streamed body to a file. An MD5 takes twice as long as a SHA-256: only where it is compared."""
    sha256, size = hashlib.sha256(), 0
    md5 = hashlib.md5(usedforsecurity=False) if with_md5 else None
    with target.open("wb") as file:
        for piece in body.iter_chunks(PIECE_BYTES):
            sha256.update(piece)
            if md5:
                md5.update(piece)
            size += file.write(piece)
    return Kept(size, sha256.hexdigest(), md5.hexdigest() if md5 else None)


def expect(what: str, found: str | None, put: str | None) -> None:
    """Raises Damaged unless they are equal."""
    if found != put:
        raise Damaged(f"it has {what} {found}, and {put} was put")


def is_md5(etag: str, answer: dict) -> bool:
    """Whether an ETag is the MD5 of the bytes: not for uploads in parts, nor under a customer's or KMS key."""
    encrypted = answer.get("ServerSideEncryption", "AES256") != "AES256"
    return bool(re.fullmatch("[0-9a-f]{32}", etag)) and not (
        encrypted or answer.get("SSECustomerAlgorithm")
    )
