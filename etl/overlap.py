"""Whose month it is: no billing account counts twice in it, by two exports, and none goes from it unnoticed.

Bound are the month's charges (`charge`) and their daily costs (`daily_row`) as they would be published.
"""

from pathlib import Path

import duckdb

from etl import layout, sql, staged
from etl.billing_contract import BillingContract
from etl.charge_tables import CHARGE_DAILY
from etl.delivery import COMPLETE, Refused
from etl.release import Release
from etl.store import Store

ELSEWHERE = """
    SELECT DISTINCT stream, billing_account_id FROM other_daily
    JOIN (SELECT DISTINCT billing_account_id FROM daily_row) USING (billing_account_id) ORDER BY ALL"""
# of an export that lands a folder a delivery, what these folders lie in, less dates: a month comes in over two months
TWICE = r"""
    SELECT billing_account_id FROM charge GROUP BY ALL
    HAVING count(DISTINCT regexp_replace(
        regexp_extract(lower(x_object_key), '^(.*)/[^/]+/[^/]+$', 1),
        '20\d\d([-_/]?\d\d){0,2}|(month|mm|m)=\d+', '', 'g'
    )) > 1 ORDER BY ALL"""
GONE = """
    SELECT DISTINCT billing_account_id FROM our_daily
    ANTI JOIN daily_row USING (billing_account_id) ORDER BY ALL"""

UNTIL_THEN = "until then this month stays as it is"


def refuse(
    engine: duckdb.DuckDBPyConnection,
    lake: Store,
    contract: BillingContract,
    base: Release,
    billing_period: str,
    asked: bool,
    folder: Path,
) -> None:
    """Raises Refused, and its detail says what to do; `asked`: the month was named by who asked for it."""
    of_month = {"provider": contract.provider, "billing_period": billing_period}
    held = [
        (layout.partition_values(name)["stream"], entry)
        for name, entry in base.partitions(CHARGE_DAILY.name, **of_month).items()
    ]
    mine = {contract.stream, contract.complements}
    for view, entries in (
        ("other_daily", [entry for stream, entry in held if stream not in mine]),
        ("our_daily", [entry for stream, entry in held if stream == contract.stream]),
    ):
        staged.give(engine, lake, view, CHARGE_DAILY.name, entries, folder / view)
    for query, applies, says in (
        (ELSEWHERE, True, _elsewhere),
        (TWICE, contract.discovery.marker is not None, _twice),
        (GONE, contract.discovery.kind == "replace" and not asked, _gone),
    ):
        if applies and (found := sql.rows(engine, query)):
            raise says(contract.stream, billing_period, **found[0])


def _elsewhere(mine: str, period: str, billing_account_id: str, stream: str) -> Refused:
    return Refused(
        "counted_elsewhere",
        f"{mine} {period}: the month of billing account {billing_account_id} is loaded by the contract {stream} "
        "already, and would count twice: keep one of the two contracts active; only where each holds a part of the "
        f"month that the other has not, name billing.complements; {UNTIL_THEN}",
        COMPLETE,
    )


def _twice(mine: str, period: str, billing_account_id: str) -> Refused:
    return Refused(
        "two_folders",
        f"{mine} {period}: the month of billing account {billing_account_id} lies in two folders, and would count "
        f"twice: a standard and a detailed export hold the same costs: land one of them, always into one "
        f"folder; {UNTIL_THEN}",
        COMPLETE,
    )


def _gone(mine: str, period: str, billing_account_id: str) -> Refused:
    return Refused(
        "account_gone",
        f"{mine} {period}: the month of billing account {billing_account_id} is loaded, and the newer delivery has "
        "nothing of it: where two exports lie below the contract's path give each a contract of its own; where the "
        f"account did go, ask for the month by name: usage-export billing ingest {mine} --period {period}; "
        f"{UNTIL_THEN}",
        COMPLETE,
    )
