"""What came of a batch of objects, on its way between tasks."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from etl import manifest, sql, unread
from etl.errors import UsageError
from etl.lake import sha256_of
from etl.manifest import Landed, ObjectResult
from etl.unread import Unread
from etl.work import Work

ROWS = ("accepted", "refused")
RESULTS = "results.json"
MODELS = ("macros", "usage/usage_arrival")  # beside the contract's own, what makes rows of records


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
    names = {}
    for name in ROWS:
        path = folder / f"{name}.parquet"
        sha256 = sha256_of(path)
        names[name] = sha256[:16]
        work.save_file(path, sha256, _folder(number), names[name], path.name)
    _save(work, number, results, missed, names)


@contextmanager
def failure_kept(work: Work, number: int, mine: list[Landed]) -> Iterator[None]:
    """What stops a batch is what its objects are unread for, unless a later attempt reads them."""
    try:
        yield
    except UsageError as error:
        said = f"batch {number}: {type(error).__name__}: {error}"
        _save(work, number, [], _failed(mine, said), {})
        raise


def load(work: Work, plan: dict, folder: Path) -> Read:
    """Everything that the batches of a plan came to. The objects of a batch that failed, or was killed and left
    nothing, are unread."""
    read = Read(unread=[unread.from_json(one) for one in plan["unread"]])
    made_by = _made_by(work)
    for number in range(len(plan["batches"])):
        mine = objects(plan, number)
        body = work.find(_folder(number), RESULTS)
        if body is None or not _of_these(body, mine):
            read.unread += _failed(mine, f"batch {number} was not read: see the log of its task")
            continue
        if body.get("made_by") != made_by:
            said = f"batch {number} was read by another version of the contract or its SQL: the next run reads it anew"
            read.unread += _failed(mine, said)
            continue
        read.results += [manifest.result_from_json(one) for one in body["results"]]
        read.unread += [unread.from_json(one) for one in body["unread"]]
        for name, paths in zip(ROWS, (read.accepted, read.refused), strict=True):
            if name not in body["rows"]:
                continue  # it failed
            target = folder / f"{number}-{name}.parquet"
            where = (_folder(number), body["rows"][name], f"{name}.parquet")
            paths.append(work.fetch(target, *where))
    return read


def _save(
    work: Work, number: int, results: list[ObjectResult], missed: list[Unread], rows: dict
) -> None:
    body = {
        "made_by": _made_by(work),
        "results": [one.to_json() for one in results],
        "unread": [one.to_json() for one in missed],
        "rows": rows,
    }
    work.save(body, _folder(number), RESULTS)


def _made_by(work: Work) -> str:
    """Of the contract's file and the SQL behind it. Where one is changed in the middle of a run, rows of the old one
    must not be published as those of the new."""
    contract = work.contract
    file = work.settings.contracts / contract.stream / f"{contract.version}.yaml"
    texts = [file.read_text(), *(sql.model(name) for name in (contract.mapping.sql, *MODELS))]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _failed(objects: Iterable[Landed], said: str) -> list[Unread]:
    return [
        Unread(one.landed_date, one.pinned.key, one.pinned.etag, unread.BATCH_FAILED, said)
        for one in objects
    ]


def _of_these(body: dict, mine: list[Landed]) -> bool:
    """Whether results speak of exactly these objects, read as they are planned now: those of an earlier plan of
    the same run may have another arrival, and then their rows another place."""
    planned = {(one.pinned.key, one.pinned.etag): one for one in mine}
    read = {_key(one["landed"]): manifest.from_json(one["landed"]) for one in body["results"]}
    missed = {_key(one) for one in body["unread"]}
    return planned.keys() == read.keys() | missed and read.items() <= planned.items()


def _key(one: dict) -> tuple[str, str]:
    return one["key"], one["etag"]


def _folder(number: int) -> str:
    return f"batch-{number:04d}"
