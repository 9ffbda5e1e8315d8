"""Environment -> one frozen object. Nothing else in the library reads the environment."""

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from etl.errors import SettingError

ROOT = Path(__file__).parent.parent
MINIMUM_KEY_BYTES = 16
NEEDED = ("USAGE_EXPORT_LANDING", "USAGE_EXPORT_LAKE", "USAGE_EXPORT_PII_KEY")


@dataclass(frozen=True)
class Location:
    """A bucket and a key prefix; `prefix` is empty or ends with a slash."""

    bucket: str
    prefix: str

    def key(self, path: str) -> str:
        return self.prefix + path

    def url(self, path: str = "") -> str:
        return f"s3://{self.bucket}/{self.prefix}{path}"


@dataclass(frozen=True)
class Settings:
    """All settings of a run. Object storage itself follows the standard AWS_* names (boto3)."""

    landing: Location
    lake: Location
    contracts: Path
    pii_key: bytes
    memory: str
    threads: int
    scratch: Path
    sweep_after_days: int

    def share(self, engines: int) -> "Settings":
        """What each of so many engines at once may use, so that together they stay within these."""
        number, unit = re.fullmatch(r"([\d.]+) ?(\w+)", self.memory).groups()  # type: ignore[union-attr]
        memory = f"{float(number) / engines}{unit}"
        return replace(self, memory=memory, threads=max(1, self.threads // engines))


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; raises SettingError naming the variable and what it must hold."""
    env = os.environ if environment is None else environment
    missing = [name for name in NEEDED if not env.get(name)]
    if len(missing) > 1:
        raise SettingError(
            f"{', '.join(missing)} are not set: README.md, Settings, tells what each must hold; Settings in your "
            "shell, how to take over those of `make up`"
        )
    return Settings(
        landing=_location(env, "USAGE_EXPORT_LANDING"),
        lake=_location(env, "USAGE_EXPORT_LAKE"),
        contracts=_folder(env, "USAGE_EXPORT_CONTRACTS", ROOT / "contracts"),
        pii_key=_key(env, "USAGE_EXPORT_PII_KEY"),
        memory=_memory(env, "USAGE_EXPORT_MEMORY", "1GB"),
        threads=_count(env, "USAGE_EXPORT_THREADS", default=2),
        scratch=_folder(env, "USAGE_EXPORT_SCRATCH", Path(tempfile.gettempdir())),
        sweep_after_days=_count(env, "USAGE_EXPORT_SWEEP_AFTER_DAYS", default=7),
    )


def without_store(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings of work that reaches neither landing nor lake, where they need not be set."""
    env = os.environ if environment is None else environment
    unset = {"USAGE_EXPORT_LANDING": "s3://unset", "USAGE_EXPORT_LAKE": "s3://unset"}
    return from_environment(unset | {"USAGE_EXPORT_PII_KEY": "0" * MINIMUM_KEY_BYTES} | dict(env))


def object_store(environment: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """Endpoint, region and credentials for DuckDB's S3 reader, by the names boto3 reads itself."""
    env = os.environ if environment is None else environment
    return {
        "endpoint": env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL"),
        "region": env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1",
        "key_id": env.get("AWS_ACCESS_KEY_ID"),
        "secret": env.get("AWS_SECRET_ACCESS_KEY"),
        "session_token": env.get("AWS_SESSION_TOKEN"),
    }


def _location(env: Mapping[str, str], name: str) -> Location:
    parts = urlsplit(env.get(name, ""))
    if parts.scheme != "s3" or not parts.netloc:
        raise SettingError(f"{name} must be an s3:// URL such as s3://bucket/prefix")
    prefix = parts.path.strip("/")
    return Location(parts.netloc, f"{prefix}/" if prefix else "")


def _key(env: Mapping[str, str], name: str) -> bytes:
    key = env.get(name, "").encode()
    if len(key) < MINIMUM_KEY_BYTES:
        raise SettingError(
            f"{name} must hold a secret of at least {MINIMUM_KEY_BYTES} bytes: "
            "it keys the pseudonyms in the lake (for example: openssl rand -hex 32)"
        )
    return key


def _count(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise SettingError(f"{name} must be a whole number of at least 1")
    return int(text)


def _folder(env: Mapping[str, str], name: str, default: Path) -> Path:
    folder = Path(env.get(name) or default)
    if not folder.is_dir():
        raise SettingError(f"{name}: there is no folder {folder}: make it or name another")
    return folder


def _memory(env: Mapping[str, str], name: str, default: str) -> str:
    text = env.get(name) or default
    if not re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", text):
        raise SettingError(f"{name} must be a size such as 512MB or 4GB")
    return text


@cache
def code_version() -> str:
    """Hash of the library and its SQL: equal code gives equal bytes."""
    digest = hashlib.sha256()
    for path in sorted([*ROOT.glob("etl/**/*.py"), *ROOT.glob("sql/**/*.sql")]):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + _bytes(path))
    return digest.hexdigest()[:12]


def _bytes(path: Path) -> bytes:
    return path.read_bytes() + b"\0"
