"""Plain DuckDB: text to typed Parquet, nothing else: python -m bench.bill_ceiling TARGET FILE…"""

import sys

import duckdb

AMOUNTS = ("line_item_unblended_cost", "line_item_usage_amount", "pricing_public_on_demand_cost")
TIMES = (
    *("bill_billing_period_start_date", "bill_billing_period_end_date"),
    *("line_item_usage_start_date", "line_item_usage_end_date"),
)


def main(target: str, *files: str) -> None:
    casts = ", ".join(
        [f"{name}::DECIMAL(38,18) AS {name}" for name in AMOUNTS]
        + [f"{name}::TIMESTAMP AS {name}" for name in TIMES]
    )
    with duckdb.connect(config={"threads": 2, "memory_limit": "1GB"}) as engine:
        engine.execute("SET preserve_insertion_order = false")
        engine.execute(
            f"COPY (SELECT * REPLACE ({casts}) FROM read_csv({list(files)}, all_varchar = true)) "
            f"TO '{target}/charge.parquet' (FORMAT parquet, COMPRESSION zstd)"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
