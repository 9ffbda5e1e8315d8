"""CloudTrail log files: unordered records, delivered minutes later, some after midnight, one repeated."""

import json
import random
import string
import uuid
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sample.model import LandedObject, Truth, packed

STREAM = "cloudtrail"
ACCOUNT, REGION = "123456789012", "eu-central-1"
OBJECTS = 6
RECORDS = 50
CALLS, BYTES = ("api_calls", "Requests"), ("egress_bytes", "Bytes")
OPERATIONS = (
    ("s3.amazonaws.com", "GetObject", True),
    ("s3.amazonaws.com", "PutObject", False),
    ("ec2.amazonaws.com", "DescribeInstances", True),
    ("iam.amazonaws.com", "CreateRole", False),
)


def generate(rng: random.Random, dates: list[date], truth: Truth) -> list[LandedObject]:
    objects = []
    for day in dates:
        repeated: dict = {}
        for n in range(OBJECTS):
            end = (
                datetime.combine(day, time(0)) + timedelta(hours=4 * (n + 1)) - timedelta(minutes=2)
            )
            records = [_record(rng, end, truth) for _ in range(RECORDS)]
            if n == 1:
                records.append(repeated)
                truth.duplicates[STREAM, "re_delivery"] += 1
            repeated = records[0]
            rng.shuffle(records)
            objects.append(_object(rng, end + timedelta(minutes=5), records, truth))
    return objects


def _record(rng: random.Random, end: datetime, truth: Truth) -> dict:
    moment = end - timedelta(seconds=rng.randrange(3600))
    source, name, read_only = rng.choice(OPERATIONS)
    user = f"sample-user-{rng.randrange(5)}"
    truth.count(moment.date(), STREAM, "UNATTRIBUTED", CALLS, Decimal(1))
    record: dict[str, Any] = {
        "eventVersion": "1.09",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": f"AIDA{rng.getrandbits(64):016X}",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/{user}",
            "accountId": ACCOUNT,
            "userName": user,
        },
        "eventTime": moment.isoformat(timespec="seconds") + "Z",
        "eventSource": source,
        "eventName": name,
        "awsRegion": REGION,
        "sourceIPAddress": f"198.51.100.{rng.randrange(1, 255)}",
        "userAgent": "aws-cli/2.15",
        "requestParameters": {"bucketName": "example-usage"} if source.startswith("s3") else None,
        "responseElements": None,
        "eventID": str(uuid.UUID(int=rng.getrandbits(128))),
        "readOnly": read_only,
        "eventType": "AwsApiCall",
        "recipientAccountId": ACCOUNT,
    }
    if name == "GetObject":
        size = rng.randrange(0, 100_000)
        record["additionalEventData"] = {
            "bytesTransferredIn": 0.0,
            "bytesTransferredOut": float(size),
        }
        truth.count(moment.date(), STREAM, "UNATTRIBUTED", BYTES, Decimal(size))
    return record


def _object(
    rng: random.Random, delivered: datetime, records: list[dict], truth: Truth
) -> LandedObject:
    truth.land(STREAM, delivered.date(), objects=1, records=len(records))
    suffix = "".join(rng.choices(string.ascii_letters + string.digits, k=16))
    name = f"{ACCOUNT}_CloudTrail_{REGION}_{delivered:%Y%m%dT%H%MZ}_{suffix}.json.gz"
    key = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{delivered:%Y/%m/%d}/{name}"
    return LandedObject(key, packed(json.dumps({"Records": records}).encode()), delivered)
