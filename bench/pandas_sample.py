"""The same work in pandas, on as many objects as fit its memory: python -m bench.pandas_sample TARGET FILE…"""

import json
import sys
from decimal import Decimal
from pathlib import Path

import pandas as pd


def main(target: str, files: list[str]) -> None:
    frames = [
        _events(pd.read_table(path, header=None, names=["line"], sep="\x01", quoting=3))
        for path in files
    ]
    event = pd.concat(frames).drop_duplicates(["source", "id"])
    event["usage_date"] = pd.to_datetime(event["time"], format="ISO8601").dt.date
    Path(target).mkdir(parents=True, exist_ok=True)
    for day, rows in event.groupby("usage_date"):
        rows.to_parquet(f"{target}/usage_event-{day}.parquet", compression="zstd")
    daily = event.groupby(["usage_date", "subject", "type", "feature"], as_index=False).agg(
        quantity=("quantity", "sum"), events=("id", "size")
    )
    daily.to_parquet(f"{target}/usage_daily.parquet", compression="zstd")
    print(len(event))


def _events(lines: pd.DataFrame) -> pd.DataFrame:
    found = pd.DataFrame([one for one in map(_event, lines["line"]) if one is not None])
    data = pd.DataFrame(found.pop("data").tolist(), index=found.index)
    found["quantity"] = data["quantity"].map(lambda text: Decimal(str(text)))
    found["feature"] = data["feature"]
    return found


def _event(line: str) -> dict | None:
    try:
        return json.loads(line)
    except ValueError:
        return None


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
