"""contracts/billing/<stream>/<version>.yaml -> frozen objects: how one provider delivers its bill.

An ODCS v3.1 document as for usage; our own keys are the custom properties `billing.*`. A schema property is
a column of the export: `physicalName` lists the names under which it is known, divided by `|`, compared
without case, spaces, `_` and `/`; `prefix*` gathers all columns with that prefix into one JSON object.
`logicalType: number` reads it as an exact amount, `timestamp` as a UTC time; `required` columns must be there.
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from etl import layout
from etl.contract import DATE_PARTS, Document, Part, Property, Regex, judged
from etl.errors import ContractError, SettingError

FOLDER = "billing"
TWIN = "\u2063"  # invisible, and at the end of no column's name


class BillingReader(Part):
    """How bytes become rows of text. `detect`: each object is CSV, gzip CSV or Parquet, as its first bytes tell.
    `null_tokens` are texts that mean no value, besides the empty one."""

    format: Literal["csv", "parquet", "json_lines", "detect"]
    compression: Literal["gzip", "none"] = "none"
    null_tokens: tuple[str, ...] = ()
    max_object_bytes: int = Field(default=8 << 30, gt=0)
    max_columns: int = Field(default=2000, gt=0)
    max_line_bytes: int = Field(default=8 << 20, gt=0, le=1 << 30)


class ManifestKeys(Part):
    """Where a manifest says what: dotted paths into its JSON. `objects` lists texts, or objects with a
    name, bytes and rows each; null where a manifest states a number means that it is not known."""

    id: str
    objects: str
    name: str | None = None
    bytes: str | None = None
    rows: str | None = None
    total_rows: str | None = None
    submitted: str | None = None
    period_start: str | None = None
    period_end: str | None = None
    dataset: str | None = None
    dataset_version: str | None = None


class Discovery(Part):
    """Where deliveries lie below the landing prefix: `path` of manifests, or of objects where there is no
    manifest. `*` is one path segment, `**` any number of them; case does not count.

    `replace`: each delivery holds its whole month again, the newest complete one wins. `append`: each adds
    rows; the objects of one folder belong together and are complete once `marker` lies beside them.
    """

    path: str
    kind: Literal["replace", "append"]
    manifest: ManifestKeys | None = None
    marker: str | None = None
    bucket: str | None = None  # that a manifest must name
    prefix: str = ""  # of landing before the keys that a manifest names
    stable_minutes: int = Field(default=0, ge=0)
    overwrites: bool = False
    one_folder: bool = False  # two folders of an account hold the same costs, and are never added
    object_id: Regex | None = (
        None  # in an object's name: one of the same name elsewhere is the same one
    )
    dataset_version: str | None = None
    closes_after_days: int = Field(default=15, ge=0)
    alarm_after_hours: int = Field(default=36, gt=0)

    @model_validator(mode="after")
    def _fits(self) -> "Discovery":
        if self.marker and (self.manifest or self.kind != "append"):
            raise ValueError("marker belongs to deliveries that append and have no manifest")
        if self.kind == "append" and self.manifest:
            raise ValueError("deliveries that append have no manifest: name a marker")
        if self.one_folder and self.kind != "append":
            raise ValueError(
                "one_folder belongs to deliveries that append: of others only one counts"
            )
        if self.object_id and (self.kind != "append" or self.marker):
            raise ValueError("object_id belongs to objects that each append alone")
        if self.kind == "replace" and not self.states_period:
            raise ValueError("the month must be in path ({yyyy}, {MM}) or in manifest.period_start")
        return self

    @property
    def states_period(self) -> bool:
        in_path = "{yyyy}" in self.path and "{MM}" in self.path
        return in_path or bool(self.manifest and self.manifest.period_start)

    @property
    def regex(self) -> re.Pattern[str]:
        pieces = re.split(r"(\{yyyy\}|\{MM\}|\{dd\}|\*\*/|\*)", self.path)
        return re.compile("".join(map(_piece, pieces)), re.IGNORECASE)

    @property
    def head(self) -> str:
        """Literal start of the path, to list by; its case is that of the contract."""
        return re.split(r"[*{]", self.path, maxsplit=1)[0]


class Mapping(Part):
    sql: str = Field(pattern=r"^normalize/[a-z0-9_]+$")
    emits: Literal["charge/1"]


class Control(Part):
    """Columns of the export that the provider's own total is made of."""

    cost: str
    credits: str | None = None
    category: str
    currency: str


class BillingContract(Document):
    properties: tuple[Property, ...]
    provider: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    reader: BillingReader
    discovery: Discovery
    mapping: Mapping
    control: Control
    dataset: str | None = (
        None  # the provider's name of this view of its bill; SQL sees it as x_dataset
    )
    complements: str | None = None  # stream that holds the other part of the same bill
    succeeds: str | None = None  # stream whose months this export takes over as it delivers them

    @model_validator(mode="after")
    def _consistent(self) -> "BillingContract":
        names = {one.name for one in self.properties}
        named = {self.control.cost, self.control.category, self.control.currency}
        if unknown := named - names:
            raise ValueError(f"billing.control names unknown properties: {sorted(unknown)}")
        if self.discovery.manifest and self.discovery.manifest.dataset and not self.dataset:
            raise ValueError("billing.dataset must say which data set the manifest is to name")
        if hidden := sorted(one.name for one in self.properties if one.privacy == "hash"):
            raise ValueError(f"{hidden}: a bill knows the privacy classes none and drop")
        return self


def load(folder: Path, stream: str) -> BillingContract:
    """The active version of one billing contract; ContractError names file, key and reason."""
    versions = [parse(path) for path in sorted((folder / FOLDER / stream).glob("*.yaml"))]
    active = [one for one in versions if one.active]
    if len(active) != 1:
        raise ContractError(
            f"{folder / FOLDER / stream}: exactly one version must have status: active, "
            f"found {len(active)}"
        )
    return active[0]


def readable(folder: Path, wanted: Iterable[str]) -> dict[str, BillingContract]:
    """Contracts by stream, of these the ones that are there and right: a wrong one stops its own lane alone, which
    says why."""
    found = {}
    for stream in set(wanted) & set(streams(folder)):
        try:
            found[stream] = load(folder, stream)
        except ContractError:
            continue
    return found


def streams(folder: Path) -> list[str]:
    """Streams that have a billing contract, by folder name."""
    own = folder / FOLDER
    return layout.stream_names(own) if own.is_dir() else []


def known(folder: Path, stream: str) -> None:
    """SettingError where no billing contract has this name."""
    if stream in layout.stream_names(folder):
        raise SettingError(
            f"{stream} is a contract of usage: usage-export ingest {stream} --landed …"
        )
    if stream not in streams(folder):
        listed = ", ".join(streams(folder))
        raise SettingError(f"there is no billing contract for {stream}: known are {listed}")


def parse(path: Path) -> BillingContract:
    try:
        return _parsed(path, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise ContractError(f"{path}: cannot be read: {error}") from error


@cache
def _parsed(path: Path, text: str) -> BillingContract:
    return judged(path, text, BillingContract, "billing.")


def plain(name: str) -> str:
    """A column name without case, spaces, `_` and `/`; of `Kosten (Cost)` what stands in parentheses."""
    inside = re.search(r"\(([^()]+)\)\s*$", name)
    return re.sub(r"[\s_/]", "", inside[1] if inside else name).lower().removeprefix("\ufeff")


def told_apart(names: Iterable[str]) -> list[str]:
    """Column names of which the engine, which knows no case, can tell each: one that differs from an earlier one
    in case alone is marked. Tags of AWS do."""
    found: dict[str, int] = {}
    marked = []
    for name in names:
        found[name.lower()] = before = found.get(name.lower(), -1) + 1
        marked.append(name + TWIN * before)
    return marked


def as_delivered(name: str) -> str:
    """A column name as it was delivered."""
    return name.rstrip(TWIN)


def _piece(piece: str) -> str:
    if piece == "**/":
        return "(?:[^/]+/)*"
    if piece == "*":
        return "[^/]*"
    return DATE_PARTS.get(piece.strip("{}")) or re.escape(piece)
