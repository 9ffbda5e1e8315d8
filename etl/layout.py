"""Every object key and partition path; the only module that builds one. Standard library only."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

RELEASES = "_release/"
CURRENT = "_release/current.json"
VIEWS = "_release/views.sql"
CATALOG = "_release/catalog.duckdb"


def release(number: int) -> str:
    return f"_release/{number:010d}.json"


def partition(values: Mapping[str, object]) -> str:
    """Hive path of a partition, which is also its name in a release: stream=…/usage_date=…"""
    return "/".join(f"{column}={value}" for column, value in values.items())


def partition_values(name: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in name.split("/"))


def date_of(name: str, column: str) -> date:
    return date.fromisoformat(partition_values(name)[column])


def is_beyond(key: str, end: str) -> bool:
    """Whether a key comes after `end` in every listing: in the order of bytes, as Amazon S3 lists, and in that of
    names, folder by folder, as SeaweedFS does, where 20/a comes before 20.csv."""
    return key > end and key.replace("/", "\0") > end.replace("/", "\0")


def data(table: str, partition_name: str, sha256: str) -> str:
    """Key of a published file: it holds the hash of its bytes, so it is written once."""
    return f"{table}/{partition_name}/{sha256[:16]}.parquet"


def work(run: str, *parts: str) -> str:
    """Key of what one run hands from task to task; swept by age, never read by anyone else."""
    return "/".join(("_work", run_name(run), *parts))


WORK = "_work/"


def work_run(key: str) -> str:
    """The part of a work key that all objects of its run share."""
    return "/".join(key.split("/")[:2])


def run_name(run: str) -> str:
    """A run id as one key segment; a hash keeps two ids apart that look alike once cleaned."""
    clean = re.sub(r"[^A-Za-z0-9._-]", "_", run)
    return clean if clean == run else f"{clean}-{hashlib.sha256(run.encode()).hexdigest()[:8]}"


def kept(stream: str, sha256: str) -> str:
    """Our copy of a landed object whose provider overwrites what it delivered."""
    return f"_kept/{stream}/{sha256}"


def validation(table: str, partition_name: str, sha256: str) -> str:
    return f"_validation/{table}/{partition_name}/{sha256[:16]}.json"


def docs(table: str, name: str, hashes: Iterable[str], page: str) -> str:
    """Page of the Data Docs of exactly these files: a later attempt leaves it alone."""
    digest = hashlib.sha256(" ".join(sorted(hashes)).encode()).hexdigest()
    return f"_docs/{table}/{name}/{digest[:16]}/{page}"


STATEMENTS = "_statement/"


def statement(page: object) -> str:
    """Key of the page of a usage date, or of their list (`index`)."""
    return f"{STATEMENTS}{page}.html"


CONTRACTS = Path(__file__).parent.parent / "contracts"


def stream_names(contracts: Path = CONTRACTS) -> list[str]:
    """Streams that have a contract, by folder name; cheap enough for a DAG file to call."""
    return sorted(path.name for path in contracts.iterdir() if any(path.glob("*.yaml")))
