"""Mapped measures -> judged rows, where a record is refused whole: where one of its measures is refused, all are."""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl import sql
from etl.contract import Contract


def judged(engine: duckdb.DuckDBPyConnection, contract: Contract) -> pa.Table:
    """Rows of usage_arrival.sql over what etl/mapping.py has mapped."""
    rows = sql.arrow(
        engine,
        "usage/usage_arrival",
        stream=contract.stream,
        schema_version=contract.version,
        late_window_days=contract.discovery.late_window_days,
        allowed_labels=list(contract.labels.allowed),
    )
    return whole(rows)


def in_order(rows: pa.Table) -> pa.Table:
    """As the records came; the engine nearly always leaves them so."""
    numbers = rows["record_id"].to_numpy()
    if not (numbers[1:] > numbers[:-1]).all():
        rows = rows.sort_by([("record_id", "ascending"), ("meter", "ascending")])
    return rows


def whole(rows: pa.Table) -> pa.Table:
    """All measures of a record with the reject_reason of one of them, the first by name."""
    refused = rows.filter(pc.is_valid(rows["reject_reason"])).select(["record_id", "reject_reason"])
    refused = refused.sort_by([("record_id", "ascending"), ("reject_reason", "ascending")])
    numbers, first = np.unique(refused["record_id"].to_numpy(), return_index=True)
    reasons = refused["reject_reason"].take(pa.array(first))
    reason = reasons.take(pc.index_in(rows["record_id"], pa.array(numbers)))
    return rows.set_column(rows.column_names.index("reject_reason"), "reject_reason", reason)
