"""Plain DuckDB, the columns of a charge: python -m bench.bill_mapping TARGET FILE…

The SQL of the contract over all objects in one statement, CSV in and Parquet out: what its mapping costs where no
row is numbered, counted, compared or kept in order.
"""

import sys
from pathlib import Path

import pyarrow as pa

from bench.bill import STREAM
from etl import sql
from etl.billing import aliases, mapping, text_rows
from etl.billing import contract as billing_contract
from etl.billing.mapping import LINEAGE
from etl.settings import ROOT, from_environment


def main(target: str, *files: str) -> None:
    contract = billing_contract.load(ROOT / "contracts", STREAM)
    given = text_rows.detected(contract, Path(files[0]))
    plain = text_rows.plain(Path(files[0]), given.reader, Path(target) / "first.csv")
    columns = aliases.resolve(given, text_rows.header(plain, given.reader))
    plain.unlink()
    # of a type that mapping tells no values apart of: the statement reads each
    types = {name: pa.large_string() for name in columns.names} | {text_rows.ROW: pa.int64()}
    rows = pa.schema(types).empty_table()
    lineage = dict.fromkeys(LINEAGE - {text_rows.ROW}, "''")
    with sql.connect(from_environment()) as engine:
        engine.execute("SET preserve_insertion_order = false")
        query = mapping.prepare(engine, given, columns, rows, lineage).charges.query
        engine.unregister("delivered")
        engine.execute(
            f"CREATE TEMP VIEW delivered AS SELECT *, 0 AS {text_rows.ROW} "
            f"FROM read_csv({list(files)}, all_varchar = true)"
        )
        engine.execute(
            f"COPY (SELECT * EXCLUDE (row_problem, is_mirror) FROM ({query})) "
            f"TO '{target}/charge.parquet' (FORMAT parquet, COMPRESSION zstd)"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
