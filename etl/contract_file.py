"""contracts/<stream>/<version>.yaml -> what it says, by our names: strict YAML, judged by the ODCS schema.

Problems are ValueErrors that name key and reason; etl/contract.py adds the file.
"""

import json
from functools import cache
from importlib.resources import files

import jsonschema_rs
import yaml
from pydantic import ValidationError

from etl import strict_yaml

PROBLEMS = 5  # of a contract that are told at once
PRIVACY = ("none", "hash", "drop")


def fields(text: str, prefix: str) -> dict:
    """Arguments of a contract's model, those of `<prefix>*` without this prefix."""
    try:
        document = json.loads(json.dumps(strict_yaml.load(text), default=str))
    except yaml.YAMLError as error:
        raise ValueError(f"cannot be read as YAML: {error}") from error
    problems = sorted(
        _validator().iter_errors(document), key=lambda e: list(map(str, e.instance_path))
    )
    if problems:
        where = "/".join(map(str, problems[0].instance_path)) or "document"
        raise ValueError(f"{where}: {problems[0].message}")
    return _custom(document, prefix) | {
        "stream": document["id"],
        "version": document["version"],
        "active": document.get("status") == "active",
        "properties": _properties(document),
    }


def problems(error: ValidationError, prefix: str) -> str:
    """What a model refuses, by key: a misspelled key is named beside the one that is missing."""
    return "; ".join(_problem(dict(one), prefix) for one in error.errors()[:PROBLEMS])


def _problem(one: dict, prefix: str) -> str:
    where = f"{prefix}{'.'.join(map(str, one['loc']))}: " if one["loc"] else ""
    unknown = one["type"] == "extra_forbidden"
    said = "there is no such key" if unknown else one["msg"].removeprefix("Value error, ")
    return where + said


def _custom(document: dict, prefix: str) -> dict:
    found: dict = {}
    for one in document.get("customProperties", []):
        name = one["property"]
        if not name.startswith(prefix):
            raise ValueError(f"customProperties: {name} is not a {prefix}* property")
        if name in found:
            raise ValueError(f"customProperties: {name} is given twice")
        found[name] = one["value"]
    return {name.removeprefix(prefix): value for name, value in found.items()}


def _properties(document: dict) -> list[dict]:
    objects = document.get("schema", [])
    if len(objects) != 1 or not objects[0].get("properties"):
        raise ValueError(f"schema: one object with properties is needed, found {len(objects)}")
    properties = [_property(one) for one in objects[0]["properties"]]
    names = [one["name"] for one in properties]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"schema property {twice[0]}: is given twice")
    return properties


def _property(one: dict) -> dict:
    where = f"schema property {one.get('name')}"
    for key in ("name", "physicalName", "classification"):
        if key not in one:
            raise ValueError(f"{where}: {key} is missing")
    if one["classification"] not in PRIVACY:
        raise ValueError(
            f"{where}: classification must say what may become of personal data, "
            f"one of {', '.join(PRIVACY)}: found {one['classification']!r}"
        )
    return {
        "name": one["name"],
        "path": one["physicalName"],
        "privacy": one["classification"],
        "type": one.get("logicalType", "string"),
        "required": one.get("required", False),
    }


@cache
def _validator() -> jsonschema_rs.Validator:
    text = files("open_data_contract_standard").joinpath("schema.json").read_text()
    return jsonschema_rs.validator_for(json.loads(text))
