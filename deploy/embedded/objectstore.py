"""An authenticated SeaweedFS on loopback."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.embedded import process
from deploy.embedded.process import Session

START_SECONDS = 60
BUCKETS = ("landing", "lake")


@dataclass(frozen=True)
class ObjectStore:
    """Where the server listens, and the credentials it accepts."""

    endpoint: str
    access_key: str
    secret_key: str
    session: Session

    def client(self) -> Any:
        """A boto3 client of this server."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 3}, connect_timeout=2, read_timeout=20),
        )


@contextmanager
def running(folder: Path, access_key: str, secret_key: str) -> Iterator[ObjectStore]:
    """A server on free ports with its data in `folder`, gone when the block ends."""
    store = start(folder, access_key, secret_key, tied=True)
    try:
        yield store
    finally:
        process.end([store.session])


def start(folder: Path, access_key: str, secret_key: str, tied: bool) -> ObjectStore:
    """Start a server and wait until it stores an object; RuntimeError otherwise."""
    process.reach_loopback()
    (folder / "data").mkdir(parents=True, exist_ok=True)
    identities = folder / "s3.json"
    identities.touch(mode=0o600)
    identities.write_text(json.dumps(_identities(access_key, secret_key)))
    ports = process.free_ports(8)
    command, log = _command(folder, identities, ports), folder / "seaweedfs.log"
    with _locked(folder) as lock:
        server = process.start(command, log, tied=tied, keep=[lock])
    session = process.session(server)
    store = ObjectStore(f"http://127.0.0.1:{ports[3]}", access_key, secret_key, session)
    try:
        _wait(store, server)
    except BaseException:
        process.end([session])
        raise
    return store


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """A lock that a server holds for as long as it runs: two would ruin each other's files."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(lock, folder)
        yield lock
    finally:
        os.close(lock)


def _take(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RuntimeError(
            f"another command uses the object store in {folder}: try again when it has ended"
        ) from error


def _command(folder: Path, identities: Path, ports: list[int]) -> list[str | Path]:
    master, volume, filer, s3, *grpc = ports
    return [
        _weed(),
        f"-logdir={folder}",
        "server",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-master.port={master}",
        f"-volume.port={volume}",
        "-filer",
        f"-filer.port={filer}",
        "-s3",
        f"-s3.port={s3}",
        f"-master.port.grpc={grpc[0]}",
        f"-volume.port.grpc={grpc[1]}",
        f"-filer.port.grpc={grpc[2]}",
        f"-s3.port.grpc={grpc[3]}",
        f"-s3.config={identities}",
        "-master.electionTimeout=1s",
        "-master.heartbeatInterval=100ms",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=400",
        "-master.telemetry=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]


def _weed() -> Path:
    found = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if found is None:
        raise RuntimeError("the SeaweedFS program `weed` is not installed: run make again")
    return Path(found)


def _identities(access_key: str, secret_key: str) -> dict:
    return {
        "identities": [
            {
                "name": "pipeline",
                "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            }
        ]
    }


def _wait(store: ObjectStore, server: subprocess.Popen) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    client, deadline = store.client(), time.monotonic() + START_SECONDS
    while True:
        try:
            _prepare(client)
            return
        except (BotoCoreError, ClientError) as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"SeaweedFS did not become ready, see its log: {error}"
                ) from error
        time.sleep(0.2)


def _prepare(client: Any) -> None:
    there = {one["Name"] for one in client.list_buckets()["Buckets"]}
    for bucket in sorted(set(BUCKETS) - there):
        client.create_bucket(Bucket=bucket)
    # an empty object would need no volume, and so say nothing of those that hold the data
    client.put_object(Bucket=BUCKETS[0], Key=".ready", Body=b"ready")
    client.get_object(Bucket=BUCKETS[0], Key=".ready")["Body"].read()
    client.delete_object(Bucket=BUCKETS[0], Key=".ready")
