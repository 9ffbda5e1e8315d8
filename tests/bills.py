"""Bills for tests: a FOCUS line with every required column, as CSV, landed as one delivery."""

import csv
import io
import json
from datetime import datetime

import pyarrow as pa

from etl import sql
from etl.billing import aliases, mapping
from etl.billing import contract as billing_contract
from etl.settings import ROOT
from tests.models import plain_engine

LINE = {
    "BilledCost": "1.25",
    "BillingAccountId": "0123",
    "BillingCurrency": "USD",
    "BillingPeriodStart": "2026-10-01T00:00:00Z",
    "BillingPeriodEnd": "2026-11-01T00:00:00Z",
    "ChargeCategory": "Usage",
    "ChargePeriodStart": "2026-10-02T00:00:00Z",
    "ChargePeriodEnd": "2026-10-03T00:00:00Z",
    "ContractedCost": "1.25",
    "EffectiveCost": "1.25",
    "InvoiceIssuerName": "AWS",
    "ListCost": "2",
    "ProviderName": "AWS",
    "PublisherName": "AWS",
    "ServiceCategory": "Compute",
    "ServiceName": "Amazon EC2",
    "SubAccountId": "0456",
    "SubAccountName": "staging",
    "Tags": '{"team": "a"}',
}
FOLDER = "billing/aws/focus/export/billing_period=2026-10"


def line(**values: str) -> dict[str, str]:
    return LINE | values


def bill(*lines: dict[str, str]) -> bytes:
    """CSV of these lines, or only its header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list((lines or (LINE,))[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().encode()


def land(lake, name: str, body: bytes, at: datetime) -> None:
    lake.land(f"{FOLDER}/{name}", body, at)


def mapped(stream: str, *lines: dict[str, str | None]) -> list[dict]:
    """What a billing contract makes of lines, given by the names of its export; with `row_problem`."""
    contract = billing_contract.load(ROOT / "contracts", stream)
    names = list(lines[0])
    if contract.reader.format == "json_lines":
        names, lines = ["line"], tuple({"line": json.dumps(one)} for one in lines)
    rows = pa.table(
        {name: pa.array([one.get(name) for one in lines], pa.string()) for name in names}
    )
    numbered = rows.append_column("x_row", pa.array(range(1, len(lines) + 1), pa.int64()))
    engine = plain_engine()
    columns = aliases.resolve(contract, names)
    prepared = mapping.prepare(engine, contract, columns, numbered, {})
    engine.register("charge_row", mapping.map_rows(prepared, numbered))
    found = sql.rows(engine, "FROM charge_row ORDER BY x_row")
    engine.execute("DROP VIEW raw; DROP VIEW given")
    engine.unregister("charge_row")
    return found
