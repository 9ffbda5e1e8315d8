"""python -m sample --seed 7 --first-day 2026-11-18 --days 3 (--into FOLDER | --landing s3://bucket/prefix)"""

import argparse
import json
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from sample import generate, land


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sample", description="Make a seeded sample of raw usage files."
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--first-day", type=date.fromisoformat, default=date(2026, 11, 18))
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--truth", type=Path, help="write the truth as JSON to this file")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--into", type=Path, help="a folder")
    target.add_argument("--landing", help="s3://bucket/prefix, reached by the AWS_* environment")
    options = parser.parse_args()
    made = generate(options.seed, options.first_day, options.days)
    if options.into:
        land.write(made, options.into)
    else:
        import boto3

        parts = urlsplit(options.landing)
        prefix = parts.path.strip("/")
        land.land(made, parts.netloc, f"{prefix}/" if prefix else "", boto3.client("s3"))
    if options.truth:
        options.truth.write_text(json.dumps(made.truth, indent=1))
    print(f"{len(made.objects)} objects for landed dates {', '.join(map(str, made.landed_dates))}")


main()
