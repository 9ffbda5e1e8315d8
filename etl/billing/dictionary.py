"""The part of the data dictionary that billing contracts make."""

from pathlib import Path
from typing import Any

from etl import strict_yaml
from etl.billing import contract
from etl.billing.contract import FOLDER, BillingContract, Discovery
from etl.markdown import grid

OUTCOMES = """\
### What becomes of a delivery

Why a delivery is seen only, superseded or rejected (column `reason` of `delivery`)."""

READERS = {"detect": "CSV, gzip CSV or Parquet, as the first bytes of each object tell"}


def sources(folder: Path) -> list[str]:
    """One section a billing contract."""
    return [_source(contract.load(folder, stream), folder) for stream in contract.streams(folder)]


def _source(found: BillingContract, folder: Path) -> str:
    path = folder / FOLDER / found.stream / f"{found.version}.yaml"
    document: Any = strict_yaml.load(path.read_text(encoding="utf-8"))
    says = document.get("description", {})
    facts = {
        "Version": f"{found.version} (`contracts/{FOLDER}/{found.stream}/{path.name}`)",
        "Purpose": says.get("purpose", "not stated"),
        "Limitations": says.get("limitations", "not stated"),
        "Provider": f"`{found.provider}`",
        "Deliveries": _deliveries(found.discovery),
        "Reader": READERS.get(found.reader.format)
        or f"`{found.reader.format}`, compression {found.reader.compression}",
        "Mapping": f"`sql/{found.mapping.sql}.sql`, gives `{found.mapping.emits}`",
        "Control total": f"`{found.control.cost}` by `{found.control.category}` and "
        f"`{found.control.currency}`",
    }
    rows = (
        (
            f"`{one.name}`",
            ", ".join(f"`{name}`" for name in one.path.split("|")),
            one.type,
            "yes" if one.required else "",
            one.privacy,
        )
        for one in found.properties
    )
    return (
        f"### {found.stream}\n\n{document.get('name', found.stream)}\n\n"
        + "\n".join(f"- **{name}**: {fact}" for name, fact in facts.items())
        + "\n\n"
        + grid(("field", "in the export", "type", "required", "privacy"), rows)
    )


def _deliveries(where: Discovery) -> str:
    kinds = {
        "replace": "the newest complete one holds the month",
        "append": "each one adds rows" + ", of one folder an account" * where.one_folder,
    }
    closes = f"a month closes {where.closes_after_days} days after its end"
    return f"`{where.path}`, {kinds[where.kind]}; {closes}"
