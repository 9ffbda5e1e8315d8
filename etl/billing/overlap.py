"""Whose month it is: no billing account counts twice in it, by two exports, and none goes from it unnoticed.

Bound are the month's charges (`charge`) and their daily costs (`daily_row`) as they would be published.
"""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import duckdb

from etl import layout, sql, staged
from etl.billing.contract import BillingContract
from etl.billing.delivery import COMPLETE, Refused
from etl.billing.outcome import Month
from etl.billing.tables import CHARGE_DAILY
from etl.release import Changes, Entry, Release, same
from etl.settings import Settings
from etl.shown import many
from etl.store import Store

# an account's own name, the number of which Azure's FOCUS makes a path (of an account, or of a profile in it), and
# Oracle's tenancy: the account of its cost report, below a subscription in its FOCUS report
NAME = "trim(lower(billing_account_id), '/')"
NUMBER = f"""nullif(regexp_extract(
    {NAME}, '^providers/microsoft[.]billing/billingaccounts/(?:[^/]+/billingprofiles/)?([^/]+)$', 1
), '')"""
TENANCY = r"nullif(regexp_extract(lower(sub_account_id), '^ocid\d+[.]tenancy[.].*'), '')"
OURS = f"""(SELECT DISTINCT {NAME} AS ours, {NUMBER} AS our_number, {TENANCY} AS our_tenancy FROM daily_row)
    ON theirs = ours OR their_number = ours OR theirs = our_number OR their_tenancy = ours OR theirs = our_tenancy"""
THEIRS = (
    f"billing_account_id, {NAME} AS theirs, {NUMBER} AS their_number, {TENANCY} AS their_tenancy"
)
ELSEWHERE = f"""
    SELECT stream, billing_account_id
    FROM (SELECT DISTINCT stream, {THEIRS} FROM other_daily) SEMI JOIN {OURS} ORDER BY ALL"""
# what the objects of an export lie in, less dates: a month comes in over two months
TWICE = r"""
    SELECT billing_account_id FROM charge GROUP BY ALL
    HAVING count(DISTINCT trim(regexp_replace(
        regexp_extract(lower(x_object_key), $place, 1),
        '/?(20\d\d([-_/t]?\d\d){0,5}z?|(month|mm|m|\bday|\bdd|\bd|\bhour|\bhh|\bh)=\d+)', '', 'g'
    ), '/')) > 1 ORDER BY ALL"""
# rows that a table gave when it was exported: of a cut of it single rows may be equal, not half of them
REPEATED = """
    WITH line AS (
        SELECT x_object_key AS key, hash(x_delivery) AS delivery, hash(
            x_other_columns, tags, billing_account_id, charge_period_start, charge_period_end, sub_account_id,
            service_name, sku_id, resource_id, charge_category, charge_description, pricing_quantity, contracted_cost,
            billed_cost
        ) AS row
        FROM charge WHERE x_other_columns['x_export_time'] IS NOT NULL
    ),
    again AS (
        SELECT row, min(key) AS first, max(key) AS last
        FROM line SEMI JOIN (SELECT row FROM line GROUP BY row HAVING min(delivery) < max(delivery)) USING (row)
        GROUP BY row
    )
    SELECT rows, count(*) AS repeated, min(key) AS one, max(if(key = last, first, last)) AS other
    FROM line JOIN again USING (row) JOIN (SELECT delivery, count(*) AS rows FROM line GROUP BY ALL) USING (delivery)
    GROUP BY delivery, rows HAVING 2 * repeated >= rows ORDER BY one LIMIT 1"""
FOLDER_OF_FOLDERS, FOLDER = "^(.*)/[^/]+/[^/]+$", "^(.*)/[^/]+$"
GONE = f"""
    SELECT billing_account_id FROM (SELECT DISTINCT {THEIRS} FROM our_daily) ANTI JOIN {OURS} ORDER BY ALL"""

# exports of two scopes share the account that pays; of a sub-account one gives the number and another the path
SUB = "regexp_extract(lower(sub_account_id), '[^/]+$')"
MOST_GONE = f"""
    SELECT billing_account_id, count(*)::INT AS loaded, count(*) FILTER (sub NOT IN (
        SELECT {SUB} FROM daily_row WHERE sub_account_id IS NOT NULL
    ))::INT AS gone
    FROM (
        SELECT billing_account_id, {SUB} AS sub FROM our_daily
        WHERE sub_account_id IS NOT NULL AND (billed_cost <> 0 OR effective_cost <> 0) GROUP BY ALL
    ) GROUP BY ALL HAVING gone * 2 > loaded ORDER BY ALL"""

# the one before it may, from the next run on
UNTIL_THEN = "until then this delivery does not count"

LATER = """
    SELECT min(charge_date) AS day, (SELECT min(charge_date) FROM our_daily) AS old_day
    FROM daily_row HAVING day > old_day"""


def refuse(
    engine: duckdb.DuckDBPyConnection,
    lake: Store,
    contract: BillingContract,
    base: Release,
    month: Month,
    folder: Path,
) -> None:
    """Raises Refused, and its detail says what to do."""
    ours = {contract.stream, *month.old_streams}
    held = _of_month(base, contract, month.billing_period)
    others = others_of_month(contract, base, month.billing_period, month.old_streams)
    mine = [entry for name, entry in held.items() if _stream(name) in ours]
    for view, entries in (("other_daily", [*others.values()]), ("our_daily", mine)):
        staged.give(engine, lake, view, CHARGE_DAILY.name, entries, folder / view)
    place = _place(contract)
    for query, given, applies, says in (
        (ELSEWHERE, None, True, _elsewhere),
        (TWICE, {"place": place}, place is not None, _twice),
        (REPEATED, None, contract.discovery.kind == "append", _repeated),
        (GONE, None, contract.discovery.kind == "replace" and not month.asked, _gone),
        (MOST_GONE, None, contract.discovery.kind == "replace" and not month.asked, _most_gone),
        (LATER, None, bool(month.old_streams) and not month.asked, _later),
    ):
        if applies and (found := sql.rows(engine, query, given)):
            raise says(contract.stream, month.billing_period, **found[0])


def _place(contract: BillingContract) -> str | None:
    """What of a key tells exports apart: where a delivery is a folder, what that lies in."""
    if not contract.discovery.one_folder:
        return None
    return FOLDER if contract.discovery.marker is None else FOLDER_OF_FOLDERS


def shared(
    settings: Settings,
    lake: Store,
    contract: BillingContract,
    seen: Release,
    newest: Release,
    tables: Changes,
    folder: Path,
) -> str | None:
    """A partition that came after `seen`, by another contract, and holds an account of a month as it would be
    published: that month is to be judged again."""
    for name, entry in tables.get(CHARGE_DAILY.name, {}).items():
        if entry is None:
            continue
        period = layout.partition_values(name)["billing_period"]
        others = others_of_month(contract, newest, period)
        live = seen.partitions(CHARGE_DAILY.name)
        came = {one: e for one, e in others.items() if not same(live.get(one), e)}
        if not came:
            continue
        with sql.connect(settings) as engine:
            for view, entries in (("other_daily", [*came.values()]), ("daily_row", [entry])):
                staged.give(engine, lake, view, CHARGE_DAILY.name, entries, folder / period / view)
            if found := sql.rows(engine, ELSEWHERE):
                return next(one for one in came if _stream(one) == found[0]["stream"])
    return None


def others_of_month(
    contract: BillingContract, base: Release, billing_period: str, old: Iterable[str] = ()
) -> dict[str, Entry]:
    """What contracts hold of a month whose costs are not to be ours too."""
    mine = {contract.stream, contract.complements, *old}
    held = _of_month(base, contract, billing_period)
    return {name: entry for name, entry in held.items() if _stream(name) not in mine}


def _of_month(base: Release, contract: BillingContract, billing_period: str) -> dict[str, Entry]:
    of_month = {"provider": contract.provider, "billing_period": billing_period}
    return base.partitions(CHARGE_DAILY.name, **of_month)


def _stream(name: str) -> str:
    return layout.partition_values(name)["stream"]


def _elsewhere(mine: str, period: str, billing_account_id: str, stream: str) -> Refused:
    return Refused(
        "counted_elsewhere",
        f"{mine} {period}: the month of billing account {billing_account_id} is loaded by the contract {stream} "
        "already, and would count twice: keep one of the two contracts active; where this one takes over from the "
        "other, name billing.succeeds; only where each holds a part of the month that the other has not, "
        f"billing.complements; {UNTIL_THEN}",
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


def _repeated(mine: str, period: str, rows: int, repeated: int, one: str, other: str) -> Refused:
    return Refused(
        "rows_repeated",
        f"{mine} {period}: {repeated} of {many(rows, 'row')} of {one} came with the same export_time in {other}, and "
        "would count twice: write each row into one place, that of the day of its export_time, and write the other "
        f"one anew, or remove it; {UNTIL_THEN}",
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


def _most_gone(mine: str, period: str, billing_account_id: str, loaded: int, gone: int) -> Refused:
    return Refused(
        "account_gone",
        f"{mine} {period}: of billing account {billing_account_id} {loaded} sub-accounts are loaded, and the newer "
        f"delivery has nothing of {gone}: where exports of single subscriptions, or of other scopes, lie below the "
        "contract's path, export the whole account instead, or give each of two a contract that names the other "
        "(billing.complements); where it is right, ask for the month by name: usage-export billing ingest "
        f"{mine} --period {period}; {UNTIL_THEN}",
        COMPLETE,
    )


def _later(mine: str, period: str, day: date, old_day: date) -> Refused:
    return Refused(
        "begins_later",
        f"{mine} {period}: begins on {day}, and what it would take over on {old_day}: let the export deliver the whole "
        f"month; where this is all of it, ask for it by name: usage-export billing ingest {mine} --period {period}; "
        f"{UNTIL_THEN}",
        COMPLETE,
    )
