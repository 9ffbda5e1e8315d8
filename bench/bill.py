"""The bench of bills: a generated month of AWS CUR 2.0, to released charges with control totals, beside plain DuckDB
and pandas over the same objects: python -m bench --bills LINES.
"""

import json
import os
import shutil
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from isal import igzip

from bench import measure, store
from bench.measure import Cost
from bench.store import Bench

OBJECT_LINES = 500_000
STREAM, PERIOD = "aws_cur2_csv", "2026-10"
FOLDER = "billing/aws/cur2csv"
RESOURCE_LINES = 400  # of the 744 hours of a month
LINES = """
    SELECT
        left(sha256('line' || i), 52) AS identity_line_item_id,
        strftime(hour, '%Y-%m-%dT%H:00:00Z') || '/' || strftime(hour + INTERVAL 1 HOUR, '%Y-%m-%dT%H:00:00Z')
            AS identity_time_interval,
        'AWS' AS bill_billing_entity, '2026-10-01T00:00:00.000Z' AS bill_billing_period_start_date,
        '2026-11-01T00:00:00.000Z' AS bill_billing_period_end_date, NULL AS bill_invoice_id,
        'Amazon Web Services, Inc.' AS bill_invoicing_entity, '012345678901' AS bill_payer_account_id,
        'USD' AS line_item_currency_code, 'Amazon Web Services, Inc.' AS line_item_legal_entity,
        'a line of ' || service AS line_item_line_item_description,
        CASE WHEN h % 1000 = 0 THEN 'Tax' WHEN h % 997 = 0 THEN 'Credit' ELSE 'Usage' END AS line_item_line_item_type,
        'Run' || r % 50 AS line_item_operation, service AS line_item_product_code,
        'arn:aws:x:eu-west-1:' || account || ':r/' || r AS line_item_resource_id,
        (hash(i, 1) % 10000000000 / 10000000000)::DECIMAL(18,10)::VARCHAR AS line_item_unblended_cost,
        '0.0960000000' AS line_item_unblended_rate, account AS line_item_usage_account_id,
        'team ' || account AS line_item_usage_account_name,
        (hash(i, 2) % 100000000 / 1000000)::DECIMAL(18,6)::VARCHAR AS line_item_usage_amount,
        strftime(hour, '%Y-%m-%dT%H:00:00.000Z') AS line_item_usage_start_date,
        strftime(hour + INTERVAL 1 HOUR, '%Y-%m-%dT%H:00:00.000Z') AS line_item_usage_end_date,
        'BoxUsage:' || r % 40 AS line_item_usage_type,
        (hash(i, 1) % 10000000000 / 10000000000)::DECIMAL(18,10)::VARCHAR AS pricing_public_on_demand_cost,
        'R' || r % 2000 AS pricing_rate_code, 'OnDemand' AS pricing_term, 'Hrs' AS pricing_unit,
        '{"product_name":"' || service || '"}' AS product, 'Compute' AS product_product_family,
        'eu-west-1' AS product_region_code, service AS product_servicecode, 'SKU' || r % 5000 AS product_sku,
        '{"user_team":"t' || r % 30 || '","user_env":"prod"}' AS resource_tags
    FROM (
        SELECT i, h, r, ('0000' || lpad((hash(r, 3) % 400)::VARCHAR, 8, '0')) AS account,
            ['AmazonEC2', 'AmazonS3', 'AmazonRDS', 'AWSLambda', 'AmazonVPC'][(hash(r, 4) % 5)::INTEGER + 1] AS service,
            TIMESTAMP '2026-10-01' + to_hours((hash(i, 5) % 744)::INTEGER) AS hour
        FROM (SELECT i, hash(i) % 1000003 AS h, hash(i, 6) % $resources AS r FROM range($start, $end) numbers(i))
    )
    ORDER BY i
"""


def main(lines: int, repeat: int, folder: Path) -> None:
    """Generate once, then each contender in turn, `repeat` times; prints one Markdown table."""
    made = folder / f"bill-{lines}"
    objects = measure.apart(generate, made, lines)
    costs: dict[str, list[Cost]] = {"ceiling": [], "mapping": [], "library": [], "pandas": []}
    with (
        TemporaryDirectory(dir=folder) as scratch,
        store.running(made, Path(scratch) / "store") as bench,
    ):
        print(f"{lines:,} lines, {_land(bench, objects) / 1e6:.0f} MB gzip", flush=True)
        for n in range(repeat):
            target = Path(scratch) / "out"
            target.mkdir(exist_ok=True)
            lake = f"bill-{n}"
            for name in ("ceiling", "mapping", "pandas"):
                command: list[str | Path] = [sys.executable, "-m", f"bench.bill_{name}"]
                command += [target, *objects]
                costs[name].append(measure.run(command, bench.environment(lake)))
            ingest = [sys.executable, "-m", "bench.bill_library", STREAM]
            costs["library"].append(measure.run(ingest, bench.environment(lake)))
            _exact(bench, lake, made, costs["library"][-1].output)
    _print(lines, repeat, {name: measure.typical(one) for name, one in costs.items()})


def generate(folder: Path, lines: int) -> list[Path]:
    """CSV objects of a month, the same bytes for the same number, and its exact total in truth.json."""
    folder.mkdir(parents=True, exist_ok=True)
    objects = [folder / f"part-{n:05d}.csv.gz" for n in range(-(-lines // OBJECT_LINES))]
    if not (folder / "truth.json").exists():
        with duckdb.connect(config={"threads": 2, "memory_limit": "1GB"}) as engine:
            engine.execute("SET enable_progress_bar = false")
            billed = sum(
                _write(engine, path, n * OBJECT_LINES, lines) for n, path in enumerate(objects)
            )
        (folder / "truth.json").write_text(json.dumps({"lines": lines, "billed": f"{billed:f}"}))
    return objects


def _write(engine: duckdb.DuckDBPyConnection, path: Path, start: int, lines: int) -> Decimal:
    """One object, and what it bills."""
    numbers = {"start": start, "end": min(start + OBJECT_LINES, lines)}
    resources = {"resources": -(-lines // RESOURCE_LINES)}
    engine.execute(f"CREATE OR REPLACE TEMP TABLE line AS {LINES}", numbers | resources)
    plain = path.with_suffix("")
    engine.execute(f"COPY line TO '{plain}' (FORMAT csv, HEADER)")
    with (
        plain.open("rb") as text,
        path.open("wb") as file,
        igzip.IGzipFile(
            "", "wb", 2, file, mtime=0
        ) as packed,  # DuckDB's own takes ten times as long
    ):
        shutil.copyfileobj(text, packed, 1 << 20)
    plain.unlink()
    query = "SELECT sum(line_item_unblended_cost::DECIMAL(38,18)) FROM line"
    return engine.execute(query).fetchall()[0][0]


def _land(bench: Bench, objects: list[Path]) -> int:
    manifest = {"executionId": "one", "dataFiles": [f"data/{path.name}" for path in objects]}
    client, delivered = bench.store.client(), {"delivered-at": "2026-11-02T06:00:00Z"}
    for path in objects:
        client.upload_file(
            str(path), "landing", f"{FOLDER}/data/{path.name}", {"Metadata": delivered}
        )
    client.put_object(
        Bucket="landing",
        Key=f"{FOLDER}/metadata/BILLING_PERIOD={PERIOD}/export-Manifest.json",
        Body=json.dumps(manifest).encode(),
        Metadata=delivered,
    )
    return sum(path.stat().st_size for path in objects)


def _exact(bench: Bench, lake: str, made: Path, output: str) -> None:
    """A benchmark of wrong numbers is none: lines and cents must be those that were generated."""
    truth = json.loads((made / "truth.json").read_text())
    charges = bench.release(lake)["tables"]["charge"]
    assert sum(f["rows"] for one in charges.values() for f in one["files"]) == truth["lines"]
    (sums,) = json.loads(output.splitlines()[-1]).values()
    assert Decimal(sums["billed USD"]) == Decimal(truth["billed"])


def _print(lines: int, repeat: int, costs: dict[str, Cost]) -> None:
    floor = costs["ceiling"].wall
    load = os.getloadavg()[0]
    print(f"measured {datetime.now():%Y-%m-%d}, medians of {repeat}, load {load:.1f} at the end")
    print("| what | lines | wall s | CPU s | peak MB | lines/s | x plain DuckDB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    names = {
        "ceiling": "plain DuckDB, seven columns typed",
        "mapping": "plain DuckDB, columns of a charge",
        "library": "usage-export, S3 included",
        "pandas": "pandas, seven columns typed",
    }
    for name, says in names.items():
        one = costs[name]
        print(
            f"| {says} | {lines:,} | {one.wall:.1f} | {one.cpu:.1f} | {one.peak_mb:.0f} "
            f"| {lines / one.wall:,.0f} | {one.wall / floor:.1f} |"
        )
    print("| stage | wall s | CPU s | peak MB so far |")
    print("| --- | --- | --- | --- |")
    for line in costs["library"].output.splitlines()[:-1]:
        stage = json.loads(line)
        print(
            f"| {stage['stage']} | {stage['wall']:.1f} | {stage['cpu']:.1f} | {stage['rss_mb']:.0f} |"
        )
