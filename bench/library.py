"""Ingest and build of the library over a real object store, each stage measured: python -m bench.library DAY…

The environment names landing and lake. Prints one JSON object a stage: wall and CPU seconds, requests, rows.
"""

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import date

import boto3

from etl import stages

STREAM = "app_usage"
requests: Counter[str] = Counter()
transferred: Counter[str] = Counter()


def main(days: list[date]) -> None:
    boto3.setup_default_session()
    events = boto3.DEFAULT_SESSION.events
    events.register("before-send.s3", _asked)
    events.register("after-call.s3", _answered)
    touched: set[str] = set()
    for day in days:
        run = f"bench-{day}"
        plan = measured(day, stages.extract, STREAM, day, run)
        for batch in plan["batches"]:
            measured(day, stages.normalize, STREAM, run, batch)
        measured(day, stages.collect, STREAM, run)
        measured(day, stages.validate_arrivals, STREAM, run)
        done = measured(day, stages.publish_arrivals, STREAM, run)
        touched |= set(done["usage_dates"])
    for day in sorted(map(date.fromisoformat, touched)):
        for stage in (stages.deduplicate, stages.aggregate, stages.validate, stages.publish):
            measured(day, stage, day, STREAM, f"bench-build-{day}")


def measured(day: date, stage: Callable[..., dict], *arguments: object) -> dict:
    requests.clear()
    transferred.clear()
    wall, cpu = time.perf_counter(), time.process_time()
    result = stage(*arguments)
    row = {
        "stage": stage.__name__,
        "day": str(day),
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "requests": requests.total(),
        "bytes": transferred.total(),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(row), flush=True)
    return result


def _asked(request: object, **_: object) -> None:
    requests[request.method] += 1  # type: ignore[attr-defined]
    sent = request.headers.get("Content-Length", 0)  # type: ignore[attr-defined]
    transferred["sent"] += int(sent)


def _answered(http_response: object, model: object, **_: object) -> None:
    head = model.http["method"] == "HEAD"  # type: ignore[attr-defined]
    if not head and http_response is not None and http_response.status_code == 200:  # type: ignore[attr-defined]
        headers = http_response.headers  # type: ignore[attr-defined]
        transferred["received"] += int(headers.get("Content-Length", 0))


if __name__ == "__main__":
    main([date.fromisoformat(day) for day in sys.argv[1:]])
