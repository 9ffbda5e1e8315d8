"""The same in pandas, chunk by chunk: python -m bench.bill_pandas TARGET FILE…"""

import sys
from decimal import Decimal

import pandas as pd

from bench.bill_ceiling import AMOUNTS, TIMES

CHUNK_LINES = 100_000


def main(target: str, *files: str) -> None:
    number = 0
    for path in files:
        for lines in pd.read_csv(path, dtype=str, chunksize=CHUNK_LINES):
            for name in AMOUNTS:
                lines[name] = lines[name].map(Decimal, na_action="ignore")
            for name in TIMES:
                lines[name] = pd.to_datetime(lines[name], format="ISO8601", utc=True)
            lines.to_parquet(f"{target}/charge-{number:05d}.parquet", compression="zstd")
            number += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
