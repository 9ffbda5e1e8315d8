"""What came of a batch of objects, on its way between tasks."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from etl import manifest, unread
from etl.errors import SourceError
from etl.lake import sha256_of
from etl.manifest import Landed, ObjectResult
from etl.unread import Unread
from etl.work import Work

ROWS = ("accepted", "refused")
RESULTS = "results.json"


@dataclass
class Read:
    """What came of batches: their objects, and the staged rows of those that were read."""

    results: list[ObjectResult] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    accepted: list[Path] = field(default_factory=list)
    refused: list[Path] = field(default_factory=list)


def objects(plan: dict, number: int) -> list[Landed]:
    start, end = plan["batches"][number]
    return [manifest.from_json(one) for one in plan["objects"][start:end]]


def save(
    work: Work, number: int, results: list[ObjectResult], missed: list[Unread], folder: Path
) -> None:
    """The rows go under names of their own content, and the results name them: where two attempts at a
    batch overlap, what is found is that of one of them, whole."""
    hashes = {name: sha256_of(folder / f"{name}.parquet")[:16] for name in ROWS}
    for name, sha256 in hashes.items():
        work.save_file(folder / f"{name}.parquet", _folder(number), sha256, f"{name}.parquet")
    body = {
        "results": [one.to_json() for one in results],
        "unread": [one.to_json() for one in missed],
        "rows": hashes,
    }
    work.save(body, _folder(number), RESULTS)


def load(work: Work, plan: dict, folder: Path) -> Read:
    """Everything that the batches of a plan came to. The objects of a batch that left nothing are unread;
    SourceError where no batch left anything."""
    read, whole = Read(unread=[unread.from_json(one) for one in plan["unread"]]), 0
    numbers = range(len(plan["batches"]))
    for number in numbers:
        mine = objects(plan, number)
        body = work.find(_folder(number), RESULTS)
        if body is None or _keys(body) != {(one.pinned.key, one.pinned.etag) for one in mine}:
            read.unread += _failed(mine, number)
            continue
        whole += 1
        read.results += [manifest.result_from_json(one) for one in body["results"]]
        read.unread += [unread.from_json(one) for one in body["unread"]]
        for name, paths in zip(ROWS, (read.accepted, read.refused), strict=True):
            target = folder / f"{number}-{name}.parquet"
            where = (_folder(number), body["rows"][name], f"{name}.parquet")
            paths.append(work.fetch(target, *where))
    if numbers and not whole:
        raise SourceError(
            f"{work.stream}: none of the {len(numbers)} batches of {work.run} was read: run the stage "
            "normalize first, or see why it failed"
        )
    return read


def _failed(objects: Iterable[Landed], number: int) -> list[Unread]:
    said = f"batch {number} was not read: see the log of its task"
    return [
        Unread(one.landed_date, one.pinned.key, one.pinned.etag, unread.BATCH_FAILED, said)
        for one in objects
    ]


def _keys(body: dict) -> set[tuple[str, str]]:
    """Of the objects that results speak of: those of an earlier plan of the same run are not ours."""
    pinned = [(one["landed"]["key"], one["landed"]["etag"]) for one in body["results"]]
    return {*pinned, *((one["key"], one["etag"]) for one in body["unread"])}


def _folder(number: int) -> str:
    return f"batch-{number:04d}"
