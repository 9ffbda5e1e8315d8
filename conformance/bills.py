"""Bills of every provider as they land: those of `make run`, and the shared samples where they are.

A bill is what is landed and the contracts that read it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from sample import bills as sample

SAMPLES = Path(__file__).parent.parent.parent / "shared" / "data" / "billing"
SEED, DAY = 7, date(2026, 10, 20)


@dataclass(frozen=True)
class Bill:
    """What is landed and which contracts read it; `name` is also that of its lake."""

    name: str
    streams: tuple[str, ...]
    objects: dict[str, Path] = field(default_factory=dict)
    made: dict[str, bytes] = field(default_factory=dict)

    def landed(self) -> Iterator[tuple[str, bytes]]:
        for key, path in self.objects.items():
            yield key, path.read_bytes()
        yield from self.made.items()


def bills(samples: Path = SAMPLES) -> list[Bill]:
    return [*_own(), *(_shared(samples) if samples.is_dir() else [])]


def _own() -> list[Bill]:
    made = {one.key: one.body for one in sample.bills(SEED, DAY)}
    return [
        Bill(
            f"own-{stream.replace('_', '-')}",
            (stream,),
            made={key: body for key, body in made.items() if key.startswith(prefix)},
        )
        for stream, prefix in (("aws_focus", "billing/aws/"), ("gcp_billing", "billing/gcp/"))
    ]


def _shared(samples: Path) -> list[Bill]:
    gcp = "gcp/bigquery_nested_derived"
    days = {
        f"billing/gcp/json/{path.parent.relative_to(samples / gcp)}/_SUCCESS.json": b"{}"
        for path in (samples / gcp).rglob("*.gz")
    }

    def bill(name: str, stream: str, folder: str, prefix: str, pattern: str = "*") -> Bill:
        return Bill(name, (stream,), _below(samples / folder, prefix, pattern))

    aws = "billing/aws/focus/e/billing_period"
    oci = "billing/oci/reports/cost-csv"
    return [
        bill("aws-cur2", "aws_cur2", "aws/cur2_derived/delivery-3", "billing/aws/cur2"),
        bill("aws-cur", "aws_cur", "aws/cur_legacy_generated", "billing/aws"),
        bill("aws-focus-1.2", "aws_focus", "aws/focus_1_2_generated", f"{aws}=2026-05"),
        bill("aws-focus-1.0", "aws_focus", "aws/focus_1_0", f"{aws}=2024-09"),
        _azure(samples),
        _azure_focus(samples, "1.2", "focus_1_2_generated", "2026-05-01", "2026-05-31"),
        _azure_focus(samples, "1.0", "focus_1_0", "2024-09-01", "2024-09-30"),
        Bill("gcp", ("gcp_billing",), _below(samples / gcp, "billing/gcp/json", "*.gz"), days),
        bill(
            "gcp-focus-1.2",
            "gcp_focus",
            "gcp/focus_1_2_generated",
            "billing/gcp/focus/e/billing_period=2026-05",
        ),
        bill("oci", "oci_cost", "oci/cost_csv", oci, "*.gz"),
        bill("oci-focus-1.0", "oci_focus", "oci/focus_1_0", "billing/oci/focus/e/2024/09/21"),
    ]


def _below(folder: Path, prefix: str, pattern: str = "*") -> dict[str, Path]:
    return {
        f"{prefix}/{path.relative_to(folder).as_posix()}": path
        for path in sorted(folder.rglob(pattern))
        if path.is_file()
    }


def _azure(samples: Path) -> Bill:
    """Actual and amortized cost of one month, each with a manifest, which the samples lack."""
    objects, made = {}, {}
    for view in ("Actual", "Amortized"):
        path = samples / "azure" / "ea_native" / f"EA_{view}Cost_Small.csv"
        prefix = f"billing/azure/{view.lower()}"
        key, manifest = _described(path, f"{view}Cost", "2023-09-01", "2023-09-30")
        objects[f"{prefix}/{key}"] = path
        made[f"{prefix}/{Path(key).parent}/manifest.json"] = manifest
    return Bill("azure-cost", ("azure_actual", "azure_amortized"), objects, made)


def _azure_focus(samples: Path, version: str, folder: str, first: str, last: str) -> Bill:
    (path,) = (samples / "azure" / folder).glob("*.csv")
    key, manifest = _described(path, "FocusCost", first, last)
    prefix = "billing/azure/focus"
    return Bill(
        f"azure-focus-{version}",
        ("azure_focus",),
        {f"{prefix}/{key}": path},
        {f"{prefix}/{Path(key).parent}/manifest.json": manifest},
    )


def _described(path: Path, dataset: str, first: str, last: str) -> tuple[str, bytes]:
    """Where a file lies in its export, and the manifest beside it."""
    key = f"export/{first.replace('-', '')}-{last.replace('-', '')}/run/part.csv"
    size = path.stat().st_size
    manifest = {
        "byteCount": size,
        "dataRowCount": None,
        "exportConfig": {"type": dataset},
        "runInfo": {
            "runId": f"run-{dataset}-{first}",
            "submittedTime": f"{last}T05:00:00Z",
            "startDate": f"{first}T00:00:00",
            "endDate": f"{last}T00:00:00",
        },
        "blobs": [{"blobName": key, "byteCount": size, "dataRowCount": None}],
    }
    return key, json.dumps(manifest).encode()
