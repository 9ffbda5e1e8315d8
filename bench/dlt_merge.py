"""dlt merges the same files into DuckDB by identity: run by the Python of dlt's own environment, TARGET FILE…"""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import dlt  # type: ignore[import-not-found]


def events(files: list[str]) -> Iterator[dict]:
    for path in files:
        with gzip.open(path, "rt") as lines:
            for line in lines:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue


def main(target: str, files: list[str]) -> None:
    Path(target).mkdir(parents=True, exist_ok=True)
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=f"{target}/pipelines",
        destination=dlt.destinations.duckdb(f"{target}/events.duckdb"),
        dataset_name="usage",
    )
    resource = dlt.resource(
        events(files), name="event", write_disposition="merge", primary_key=("source", "id")
    )
    print(pipeline.run(resource))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
