"""python -m deploy.embedded.sample_run SEED FIRST_DAY LANDED_DATE…: the real DAGs over the sample.

Its usage, then its bills as two providers deliver them: the second delivery of a month takes the place of the
first. Started by `python -m deploy.embedded run` in the environment of the stack.
"""

import sys
from collections.abc import Iterator
from datetime import date

from deploy.embedded import runner


def main(seed: int, first_day: date, landed_dates: list[str]) -> int:
    from etl import cli
    from sample.bills import STREAMS

    code = runner.main(landed_dates, deliveries(seed, first_day))
    for stream in STREAMS:
        code = cli.main(["billing", "deliveries", stream]) or code
    return code


def deliveries(seed: int, first_day: date, prefix: str = "") -> Iterator[date]:
    """Lands what is delivered at one time, and gives its day."""
    import boto3

    from sample.bills import bills
    from sample.land import land_objects

    made, client = bills(seed, first_day), boto3.client("s3")
    for moment in sorted({one.delivered_at for one in made}):
        due = [one for one in made if one.delivered_at == moment]
        land_objects(due, "landing", prefix, client)
        yield moment.date()


if __name__ == "__main__":
    try:
        sys.exit(main(int(sys.argv[1]), date.fromisoformat(sys.argv[2]), sys.argv[3:]))
    except KeyboardInterrupt:
        sys.exit(130)
