"""The work area of a run: what its stages hand to each other, and the scratch folder of one stage."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, TypeVar

from etl import bounds, layout, manifest, privacy, release, settings
from etl import contract as contracts
from etl.billing.contract import BillingContract
from etl.contract import Contract
from etl.errors import SettingError, SourceError
from etl.manifest import Landed
from etl.release import Entry, Release
from etl.settings import Settings
from etl.staged import Staged
from etl.store import Store
from etl.unread import Unread

C = TypeVar("C", Contract, BillingContract)


@dataclass(frozen=True)
class Work(Generic[C]):
    """One stream of one run: its settings, stores and contract, and its keys below _work/."""

    run: str
    settings: Settings
    landing: Store
    lake: Store
    contract: C
    replay: dict = field(default_factory=dict)  # what etl/replay/draft.py keeps of a replay

    @property
    def stream(self) -> str:
        return self.contract.stream

    @property
    def why(self) -> str:
        """What the cause of a restatement tells besides what it can see."""
        return f"replay: {self.replay['reason']}" if self.replay else ""

    def load(self, *parts: str) -> dict:
        """What an earlier stage of this run saved; SourceError where it did not."""
        return json.loads(self._read(*parts))

    def find(self, *parts: str) -> dict | None:
        """What a stage of this run saved, or None where it did not."""
        body = self.lake.read(self._key(*parts))
        return json.loads(body.data) if body else None

    def save(self, body: dict | list, *parts: str) -> None:
        self.lake.write(self._key(*parts), json.dumps(body).encode())

    def save_file(self, path: Path, sha256: str, *parts: str) -> None:
        self.lake.write(self._key(*parts), path, sha256=sha256)

    def fetch(self, target: Path, *parts: str) -> Path:
        try:
            return self.lake.fetch_verified(self._key(*parts), target)
        except SourceError as error:
            raise self._missing(*parts) from error

    def plan(
        self,
        base: Release,
        landed_date: date,
        dates: Iterable[date],
        objects: list[Landed],
        missed: Sequence[Unread] = (),
        idle: bool = False,
    ) -> dict:
        """Save what the later stages of an ingest read; returns what is to be done. `missed` is what
        landed and cannot be read. Where this is `idle` there is no batch, else one, be it of no object."""
        objects = sorted(objects, key=manifest.order)
        batches = manifest.batches(objects) or ([] if idle else [(0, 0)])
        plan = {
            "base": base.number,
            "landed_date": str(landed_date),
            "landed_dates": sorted(map(str, dates)),
            "objects": [one.to_json() for one in objects],
            "unread": [one.to_json() for one in missed],
            "batches": batches,
        }
        self.save(plan, "manifest.json")
        if idle:  # what the stages would leave that have nothing to do
            self.save({"unread": []}, "unread.json")
            self.save({}, "validated.json")
        return {
            "objects": len(objects),
            "objects_unread": len(missed),
            "bytes": sum(one.pinned.size_bytes for one in objects),
            "batches": list(range(len(batches))),
            "landed_dates": plan["landed_dates"],
        }

    def base(self, number: int) -> Release:
        """The release that this run had read when it began."""
        return release.load(self.lake, number)

    def refuse_other_key(self, base: Release) -> None:
        """One principal must not get two pseudonyms: SettingError where published arrivals were
        made with another key."""
        own = privacy.key_id(self.settings.pii_key)
        for entry in base.partitions("usage_arrival", stream=self.stream).values():
            if entry.get("key_id", own) != own:  # lakes once kept none
                raise SettingError(
                    f"USAGE_EXPORT_PII_KEY is not the key (id {entry['key_id']}) that the published "
                    f"arrivals of {self.stream} were made with: set that one, or use another lake"
                )

    def staged(self, folder: Path, tables: release.Changes | None = None) -> Staged:
        name = f"{self.contract.stream}/{self.contract.version}"
        return Staged(self.lake, folder, name, privacy.key_id(self.settings.pii_key), tables or {})

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        prefix, scratch = "usage-export-", self.settings.scratch
        with bounds.named(self.settings), TemporaryDirectory(prefix=prefix, dir=scratch) as folder:
            yield Path(folder)

    def _key(self, *parts: str) -> str:
        return layout.work(self.run, self.stream, *parts)

    def _read(self, *parts: str) -> bytes:
        body = self.lake.read(self._key(*parts))
        if body is None:
            raise self._missing(*parts)
        return body.data

    def _missing(self, *parts: str) -> SourceError:
        return SourceError(
            f"{self.lake.location.url(self._key(*parts))} is missing: run the stage before first"
        )


def begin(stream: str, run: str) -> Work[Contract]:
    """Read settings and contract from the environment."""
    env = settings.from_environment()
    return Work(
        run, env, Store(env.landing), Store(env.lake), contracts.load(env.contracts, stream)
    )


def versions(work: Work[Contract]) -> list[Contract]:
    """The contract, and all other versions of it that lie beside it: rows of theirs may be published."""
    folder = work.settings.contracts / work.stream
    others = [contracts.parse(path) for path in sorted(folder.glob("*.yaml"))]
    return [work.contract, *(one for one in others if one.version != work.contract.version)]


Begin = Callable[[str, str], Work]


def entries(tables: release.Changes, table: str, part: str) -> tuple[Entry, ...]:
    """Staged entries of a table whose partition name holds this column=value."""
    found = tables.get(table, {}).items()
    return tuple(entry for name, entry in found if entry is not None and part in name.split("/"))
