"""contracts/<stream>/<version>.yaml -> frozen objects: the promise of a source, checked strictly.

The file is an Open Data Contract Standard (ODCS) v3.1 document; our own keys are the custom properties
`usage.*`. The standard's JSON schema judges the document, the models below judge our keys, and neither
lets an unknown key pass.
"""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from etl import contract_file, enclosing, layout
from etl.errors import ContractError

UNATTRIBUTED = "UNATTRIBUTED"
DATE_PARTS = {part: f"(?P<{part}>[0-9]{{{len(part)}}})" for part in ("yyyy", "MM", "dd")}
JSON_PATH = re.compile(r'\$(\.(\w[\w-]*|"[^"*]+")|\[\d+\])*')
COLUMN = r"^[a-z_][a-z0-9_]*$"
OURS = {"record_id", "raw_object_key", "raw_line", "delivered_at"}  # beside the fields in `raw`


def _is_regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    return pattern


Regex = Annotated[str, AfterValidator(_is_regex)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Document(Part):
    """What every contract says of itself, whatever it is about."""

    stream: str
    version: str
    active: bool


D = TypeVar("D", bound=Document)


class Reader(Part):
    """How bytes become records. `pattern` (text_lines): fields by group number in physicalName."""

    format: Literal["json_lines", "json_records", "text_lines", "csv"]
    compression: Literal["gzip", "none"]
    pattern: Regex | None = None
    records_key: str | None = None
    null_token: str | None = None
    delimiter: Literal[",", ";", "|", "\t"] = ","  # csv
    max_line_bytes: int = Field(default=1 << 20, gt=0)
    max_object_bytes: int = Field(default=1 << 30, gt=0)

    @model_validator(mode="after")
    def _belongs(self) -> "Reader":
        if (self.format == "text_lines") != (self.pattern is not None):
            raise ValueError("pattern belongs to text_lines, and only to it")
        if (self.format == "json_records") != (self.records_key is not None):
            raise ValueError("records_key belongs to json_records, and only to it")
        return self


class Discovery(Part):
    """Where objects lie below the landing prefix. `*` is one path segment, `{yyyy} {MM} {dd}` the
    landed date; without a date in the key, the landed date is that of arrival."""

    path: str = Field(pattern=r"^[^/]")
    late_window_days: int = Field(ge=0, le=400)

    @model_validator(mode="after")
    def _has_one_date_or_none(self) -> "Discovery":
        named = sorted(re.findall(r"\{.*?\}", self.path))
        if named and named != sorted(f"{{{part}}}" for part in DATE_PARTS):
            raise ValueError("path names {yyyy}, {MM} and {dd} once each, or none of them")
        return self

    @property
    def regex(self) -> re.Pattern[str]:
        pieces = re.split(r"(\{yyyy\}|\{MM\}|\{dd\}|\*)", self.path)
        return re.compile("".join(_piece(piece) for piece in pieces))

    @property
    def dated(self) -> bool:
        return all(f"{{{part}}}" in self.path for part in DATE_PARTS)


class Identity(Part):
    """What makes two records the same: `global` everywhere; `object_first` between objects (equal
    records inside one object are all kept); `positional` by ETag and line, for sources without keys."""

    scope: Literal["global", "object_first", "positional"]
    columns: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_columns(self) -> "Identity":
        if (self.scope == "positional") == bool(self.columns):
            raise ValueError("columns are needed, except for positional, which takes none")
        return self


class Sequence(Part):
    """Producer's counter in the object key: named groups `scope` and `first`."""

    pattern: Regex
    contiguous: bool

    @model_validator(mode="after")
    def _has_groups(self) -> "Sequence":
        if not {"scope", "first"} <= re.compile(self.pattern).groupindex.keys():
            raise ValueError("pattern needs the named groups scope and first")
        return self


class Mapping(Part):
    sql: str = Field(pattern=r"^normalize/[a-z0-9_]+$")
    emits: Literal["usage_event/1"]


class Attribution(Part):
    """One rule that may name the tenant; `map` translates keys (accounts, resources) to tenants."""

    rule: Literal["event", "label", "resource_map", "key_prefix", "account_map", "none"]
    map: dict[str, str] = Field(default_factory=dict)


class Labels(Part):
    allowed: tuple[str, ...] = Field(default=(), max_length=16)
    daily: tuple[str, ...] = ()


class Property(Part):
    """A field of the raw record that mapping SQL may see. Class `drop` never leaves the reader,
    `hash` leaves it only as a keyed pseudonym."""

    name: str = Field(pattern=COLUMN)
    path: str
    privacy: Literal["none", "hash", "drop"]
    type: str = "string"
    required: bool = False

    @property
    def structured(self) -> bool:
        """Whether an object or an array is expected."""
        return self.type in ("object", "array")


class Contract(Document):
    properties: tuple[Property, ...]
    reader: Reader
    discovery: Discovery
    identity: Identity
    sequence: Sequence | None = None
    mapping: Mapping
    meters: dict[str, str] = Field(min_length=1)
    attribution: tuple[Attribution, ...]
    labels: Labels = Labels()

    @model_validator(mode="after")
    def _consistent(self) -> "Contract":
        for one in self.properties:
            if problem := self._problem(one):
                raise ValueError(f"schema property {one.name}: {problem}")
        if told := enclosing.problem(self.properties, self.reader.pattern):
            raise ValueError(told)
        names = {one.name for one in self.properties}
        if unknown := set(self.identity.columns) - names:
            raise ValueError(f"usage.identity names unknown properties: {sorted(unknown)}")
        if unknown := set(self.labels.daily) - set(self.labels.allowed):
            raise ValueError(
                f"usage.labels.daily holds keys that are not allowed: {sorted(unknown)}"
            )
        rules = [one.rule for one in self.attribution]
        if len(rules) != len(set(rules)):
            raise ValueError("usage.attribution names a rule twice: put its keys into one map")
        if not self.attribution or self.attribution[-1].rule != "none":
            raise ValueError("usage.attribution must end with the rule none (UNATTRIBUTED)")
        return self

    def _problem(self, one: Property) -> str | None:
        """Why the mapping SQL could not see this field."""
        if one.name in OURS:
            return "its name is one of our own columns beside it"
        if self.reader.pattern is None:
            is_path = JSON_PATH.fullmatch(one.path)
            return None if is_path else f"physicalName {one.path!r} is no path such as $.data.n"
        groups = re.compile(self.reader.pattern).groups
        if re.fullmatch("[1-9][0-9]{0,3}", one.path) and int(one.path) <= groups:
            return None
        return f"physicalName {one.path!r} is no group of usage.reader.pattern, 1 to {groups}"


def load(folder: Path, stream: str) -> Contract:
    """The active version of one stream's contract; ContractError names file, key and reason."""
    versions = [parse(path) for path in sorted((folder / stream).glob("*.yaml"))]
    active = [one for one in versions if one.active]
    if len(active) != 1:
        raise ContractError(
            f"{folder / stream}: exactly one version must have status: active, found {len(active)} "
            "(of a source that has ended, remove the folder)"
        )
    return active[0]


def load_all(folder: Path) -> list[Contract]:
    return [load(folder, stream) for stream in layout.stream_names(folder)]


def parse(path: Path) -> Contract:
    """One contract file; the stream is its folder's name, the version its file's name."""
    try:
        return _parsed(path, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise ContractError(f"{path}: cannot be read: {error}") from error


@cache  # judging a document by the standard's schema costs a tenth of a second
def _parsed(path: Path, text: str) -> Contract:
    return judged(path, text, Contract, "usage.")


def judged(path: Path, text: str, model: type[D], prefix: str) -> D:
    """A document of the standard as `model`, whose keys are the custom properties `<prefix>*`; raises
    ContractError that names file, key and reason."""
    try:
        found = model(**contract_file.fields(text, prefix))
    except ValidationError as error:
        raise ContractError(f"{path}: {contract_file.problems(error, prefix)}") from error
    except ValueError as error:
        raise ContractError(f"{path}: {error}") from error
    if (found.stream, found.version) != (path.parent.name, path.stem):
        raise ContractError(f"{path}: id and version must be {path.parent.name} and {path.stem}")
    return found


def _piece(piece: str) -> str:
    if piece == "*":
        return "[^/]*"
    return DATE_PARTS.get(piece.strip("{}")) or re.escape(piece)
