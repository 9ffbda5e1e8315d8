"""Plain DuckDB over the same objects on local disk: what the machine can do when no law is kept.

Its own JSON reader (numbers through DOUBLE, broken lines as NULL rows that are dropped uncounted), one
row an identity, a Parquet folder a day and daily totals; with all the memory it wants.
`python -m bench.ceiling FOLDER TARGET`.
"""

import sys
from pathlib import Path

import duckdb

COLUMNS = """{specversion: 'VARCHAR', id: 'VARCHAR', source: 'VARCHAR', type: 'VARCHAR', time: 'TIMESTAMP',
    subject: 'VARCHAR', data: 'STRUCT(quantity DECIMAL(38,9), feature VARCHAR)'}"""


def main(folder: str, target: str) -> None:
    Path(target).mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"threads": 2, "memory_limit": "12GB"}) as engine:
        engine.execute("SET preserve_insertion_order = false")
        engine.execute(f"""
            CREATE TEMP TABLE event AS
            SELECT id, source, any_value(type) AS type, any_value(time) AS time, any_value(subject) AS tenant_id,
                any_value(data.quantity) AS quantity, any_value(data.feature) AS feature,
                any_value(time)::DATE AS usage_date
            FROM read_json('{folder}/topics/**/*.json.gz', format = 'newline_delimited',
                ignore_errors = true, columns = {COLUMNS})
            WHERE id IS NOT NULL
            GROUP BY id, source
        """)
        engine.execute(
            f"COPY event TO '{target}/usage_event' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (usage_date))"
        )
        engine.execute(f"""
            COPY (SELECT usage_date, tenant_id, type, feature, sum(quantity) AS quantity, count(*) AS events
                FROM event GROUP BY ALL)
            TO '{target}/usage_daily' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (usage_date))
        """)
        print(engine.execute("SELECT count(*) FROM event").fetchone())


if __name__ == "__main__":
    main(*sys.argv[1:])
