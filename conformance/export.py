"""The view focus_1_2 of a lake as Parquet: what readers see is what the validator is given."""

import os
from datetime import datetime
from pathlib import Path

from conformance.bills import Bill
from deploy.embedded.objectstore import ObjectStore
from etl import catalog, lookup
from etl.billing import stages

AT = datetime(2026, 10, 6, 6)


def export(store: ObjectStore, bill: Bill, target: Path) -> int:
    """Land a bill, run it to released charges in a lake of its own, write them; returns their number."""
    client = store.client()
    os.environ.update(_environment(store, bill.name))
    for key, body in bill.landed():
        client.put_object(
            Bucket="landing",
            Key=f"{bill.name}/{key}",
            Body=body,
            Metadata={"delivered-at": f"{AT.isoformat()}Z"},
        )
    for stream in bill.streams:
        stages.ingest(stream, "conformance")
    with catalog.open_release(*lookup.open_release()) as connection:
        connection.execute(f"COPY (FROM focus_1_2) TO '{target}' (FORMAT parquet)")
        ((rows,),) = connection.execute("SELECT count(*) FROM charge").fetchall()
    return rows


def _environment(store: ObjectStore, name: str) -> dict[str, str]:
    return {
        "USAGE_EXPORT_LANDING": f"s3://landing/{name}",
        "USAGE_EXPORT_LAKE": f"s3://lake/{name}",
        "USAGE_EXPORT_PII_KEY": "0123456789abcdef0123456789abcdef",
        "AWS_ACCESS_KEY_ID": store.access_key,
        "AWS_SECRET_ACCESS_KEY": store.secret_key,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": store.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
