"""One delivery -> its charges, staged: every row of every object, or none of them.

The sums of the text as it was delivered are taken before mapping, so that settle can hold the charges against
them. A delivery with a row that cannot be read is refused whole: a bill with a hole never replaces a good one.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from etl import lake, layout, sql
from etl.billing import aliases, delivery, mapping, text_rows
from etl.billing.aliases import Columns
from etl.billing.contract import BillingContract
from etl.billing.delivery import LOADED, REJECTED, Delivery, Refused
from etl.billing.loaded import Loaded
from etl.billing.mapping import Prepared
from etl.billing.tables import CHARGE
from etl.errors import ObjectChanged
from etl.parallel import ahead, side_by_side
from etl.privacy import quote
from etl.settings import Settings
from etl.staged import Staged
from etl.store import Pinned, Store

SHOWN_ROWS = 5
FETCHES_AT_ONCE = 4
Objects = list[tuple[Pinned, Path]]
Known = dict[duckdb.DuckDBPyConnection, Prepared]


@dataclass(frozen=True)
class Mapped:
    """One chunk: its charges, the sums of its text, rows that cannot be read, columns nobody named."""

    charges: pa.Table
    sums: list[dict]
    problems: list[tuple[int, str]]
    unknown: frozenset[str]


def load(
    settings: Settings,
    landing: Store,
    contract: BillingContract,
    found: Delivery,
    folder: Path,
    out: Staged,
) -> Loaded:
    """Stage the charges of one complete delivery. What comes back is loaded, or rejected with a reason
    and nothing staged. Raises ObjectChanged where it was replaced while it was read."""
    done = Loaded(found.at(LOADED))
    objects = _fetch(landing, contract, found, folder, out.store, done)
    try:
        files = _charges(settings, contract, found, objects, folder, done)
    except Refused as problem:
        done.delivery = found.at(REJECTED, problem.reason, problem.detail)
        return done
    _refuse_swapped(landing, found)
    if done.delivery.state == LOADED:
        for period, file in files.items():
            out.add_file(CHARGE, file, delivery.partition_columns(found, period), done.hashes())
    return done


def _fetch(
    landing: Store,
    contract: BillingContract,
    found: Delivery,
    folder: Path,
    store: Store,
    done: Loaded,
) -> Objects:
    """Objects on scratch, in the order of their keys; a copy in the lake where the provider overwrites."""

    def fetch(pinned: Pinned, path: Path) -> tuple[str, str | None]:
        sha256 = landing.fetch(pinned, path)
        key = layout.kept(contract.stream, sha256) if contract.discovery.overwrites else None
        if key:
            store.create_file(key, path, sha256)
        return sha256, key

    parts = sorted(found.parts, key=lambda one: one.key)
    paths = [folder / f"object-{number}" for number in range(len(parts))]
    with ThreadPoolExecutor(FETCHES_AT_ONCE) as pool:
        for pinned, (sha256, key) in zip(parts, pool.map(fetch, parts, paths), strict=True):
            done.add_object(pinned, sha256, key)
    return list(zip(parts, paths, strict=True))


def _charges(
    settings: Settings,
    contract: BillingContract,
    found: Delivery,
    objects: Objects,
    folder: Path,
    done: Loaded,
) -> dict[str, lake.File]:
    """One file a month, rows in the order of objects and lines."""
    streams: dict[str, lake.Stream] = {}
    unknown: set[str] = set()
    with ExitStack() as opened:
        engines = [
            opened.enter_context(sql.connect(settings.share(settings.threads)))
            for _ in range(settings.threads)
        ]
        ready = opened.enter_context(closing(ahead(_plain(contract, objects))))
        for number, (key, given, plain) in enumerate(ready):
            with _named(key):
                columns = aliases.resolve(given, text_rows.header(plain, given.reader))
                columns = mapping.with_currency(given, columns, plain)
                unknown |= set(columns.unknown)
                chunks = text_rows.chunks(plain, given.reader, columns.names)
                mapped_rows = partial(_mapped, given, columns, found, key)
                work = partial(_map, given, key, mapped_rows, {})
                for mapped in side_by_side(engines, chunks, work):
                    _refuse_rows(key, mapped)
                    _write(contract, found, folder, streams, mapped.charges)
                    done.add(number, mapped.charges, mapped.sums)
                    unknown |= mapped.unknown
                plain.unlink()  # one more waits unpacked
    done.finish(unknown)
    return {period: stream.close() for period, stream in streams.items()}


def _plain(
    contract: BillingContract, objects: Objects
) -> Iterator[tuple[str, BillingContract, Path]]:
    """Key, contract as it stands for it, and bytes of each object: unpacked while the one before it is mapped."""
    for pinned, path in objects:
        with _named(pinned.key):
            given = text_rows.detected(contract, path)
            plain = text_rows.plain(path, given.reader, path.with_suffix(".plain"))
        yield pinned.key, given, plain


@contextmanager
def _named(key: str) -> Iterator[None]:
    """A delivery has many objects: what is refused says in which of them."""
    try:
        yield
    except Refused as problem:
        detail = problem.detail or ""
        if not detail.startswith(key):
            detail = f"{key}: {detail}" if detail else key
        raise Refused(problem.reason, detail, problem.state) from problem


def _map(
    contract: BillingContract,
    key: str,
    mapped: Callable[[Known, duckdb.DuckDBPyConnection, pa.Table], Mapped],
    prepared: Known,
    engine: duckdb.DuckDBPyConnection,
    rows: pa.Table,
) -> Mapped:
    """`prepared` keeps what each engine knows of this object."""
    try:
        return mapped(prepared, engine, rows)
    except duckdb.OperationalError:
        raise  # memory or disk, not the rows
    except duckdb.Error as error:  # its message may quote a row: it goes no further
        failed = error
    raise mapping.refused(engine, contract, key, failed, partial(mapped, {}, engine), rows)


def _mapped(
    contract: BillingContract,
    columns: Columns,
    found: Delivery,
    key: str,
    prepared: Known,
    engine: duckdb.DuckDBPyConnection,
    rows: pa.Table,
) -> Mapped:
    if engine not in prepared or contract.reader.format == "json_lines":  # lines differ in names
        known = _lineage(contract, found, key)
        prepared[engine] = mapping.prepare(engine, contract, columns, rows, known)
    made = mapping.map_rows(prepared[engine], rows)
    mapping.refuse_other_rows(contract, key, rows.num_rows, made)
    sums = sql.dicts(prepared[engine].sums.over(made))
    return Mapped(_charged(made), sums, _problems(made), prepared[engine].bound.unknown)


def _charged(made: pa.Table) -> pa.Table:
    """The charges among what was made: without the rows that another contract counts."""
    if pc.any(made["is_mirror"]).as_py():
        made = made.filter(pc.invert(made["is_mirror"]))
    return made.select(list(CHARGE.sql_columns))


def _problems(made: pa.Table) -> list[tuple[int, str]]:
    if made["row_problem"].null_count == made.num_rows:
        return []
    failed = made.select([text_rows.ROW, "row_problem"]).filter(pc.is_valid(made["row_problem"]))
    return [tuple(row.values()) for row in failed.slice(0, SHOWN_ROWS).to_pylist()]


def _lineage(contract: BillingContract, found: Delivery, key: str) -> dict[str, str]:
    """Columns of a charge that are known of the delivery, as SQL."""
    return {
        "x_object_key": quote(key),
        "x_provider": quote(contract.provider),
        "x_billing_period": "strftime(billing_period_start, '%Y-%m')",
        "x_stream": quote(contract.stream),
        "x_schema_version": quote(contract.version),
        "x_delivery": quote(found.short_id),
    }


def _refuse_rows(key: str, mapped: Mapped) -> None:
    """A problem is `code:column`; the value stays where it is."""
    if mapped.problems:
        code, _, column = mapped.problems[0][1].partition(":")
        rows = ", ".join(str(row) for row, _ in mapped.problems)
        raise Refused(code, f"{key}, row {rows}{f', column {column}' if column else ''}")


def _write(
    contract: BillingContract,
    found: Delivery,
    folder: Path,
    streams: dict[str, lake.Stream],
    charges: pa.Table,
) -> None:
    periods = sorted(pc.unique(charges["x_billing_period"]).to_pylist())
    for period in periods:
        if contract.discovery.kind == "replace" and period != found.billing_period:
            detail = f"rows of {period} in a delivery of {found.billing_period}"
            raise Refused("wrong_period", detail)
        of_period = pc.equal(charges["x_billing_period"], period)
        mine = charges.filter(of_period) if len(periods) > 1 else charges
        if period not in streams:
            streams[period] = lake.Stream(folder / f"charge-{period}.parquet", CHARGE)
        streams[period].write(mine)


def _refuse_swapped(landing: Store, found: Delivery) -> None:
    """A manifest that was replaced meanwhile names other files: these rows are of neither delivery."""
    if found.manifest_key and landing.pin(found.manifest_key).etag != found.manifest_etag:
        raise ObjectChanged(
            f"{landing.location.url(found.manifest_key)} was replaced while its files were read: run again"
        )
