"""python -m deploy.compose.buckets: make the buckets of landing and lake where they are missing."""

import os
from urllib.parse import urlsplit

import boto3


def make_buckets() -> None:
    """With the store's own administrator: the pipeline's identity may not create a bucket."""
    client = boto3.client(
        "s3",
        aws_access_key_id=os.environ["S3_ADMIN_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["S3_ADMIN_SECRET_ACCESS_KEY"],
    )
    there = {one["Name"] for one in client.list_buckets()["Buckets"]}
    wanted = {
        urlsplit(os.environ[name]).netloc for name in ("USAGE_EXPORT_LANDING", "USAGE_EXPORT_LAKE")
    }
    for bucket in sorted(wanted - there):
        client.create_bucket(Bucket=bucket)
        print(f"made bucket {bucket}")


if __name__ == "__main__":
    make_buckets()
