"""What analysts open: one view a table over exactly the files of one release.

The views read `s3://<lake>/…` unless the variable `lake` names another place (a local copy):
SET VARIABLE lake = '/path/to/copy'.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from etl import settings as environment
from etl import shapes, sql
from etl.errors import Corrupt, StoreUnavailable
from etl.privacy import quote
from etl.release import Release, files
from etl.settings import Location
from etl.tables import ALL

VIEWS = ("focus_1_2", "charge_tag", "sub_account")  # over the tables, in sql/view


def views(release: Release, lake: Location) -> str:
    """SQL that (re)creates every view of a release."""
    return f"-- release {release.number} of {lake.url()}\n" + "".join(_statements(release, lake))


def _statements(release: Release, lake: Location) -> list[str]:
    made = {name: _select(release, name, lake) for name in ALL}
    made |= {name: sql.model(f"view/{name}").rstrip() + "\n" for name in VIEWS}
    return [f"CREATE OR REPLACE VIEW {name} AS\n{select};\n" for name, select in made.items()]


def catalog(release: Release, lake: Location, target: Path) -> Path:
    """A DuckDB file that holds the views; needs to reach the lake, because making a view checks it."""
    with _reading(lake), _with_views(release, lake, str(target)):
        return target


@contextmanager
def open_release(release: Release, lake: Location) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory connection with the views of a release; StoreUnavailable also from queries within."""
    with _reading(lake), _with_views(release, lake, ":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def _with_views(release: Release, lake: Location, target: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(target, config={"allow_unsigned_extensions": "true"})
    try:
        connect_store(connection)
        # what comes damaged while views are made must not be kept
        connection.execute("SET enable_external_file_cache = false")
        for statement in _statements(release, lake):
            _make(connection, statement, release, lake)
        connection.execute("SET enable_external_file_cache = true")
    except BaseException:
        connection.close()
        raise
    return connection


def _make(
    connection: duckdb.DuckDBPyConnection, statement: str, release: Release, lake: Location
) -> None:
    """To make a view DuckDB opens its files, and knows no hash of them: it is asked again where it cannot."""
    for last in (False, False, True):
        try:
            connection.execute(statement)
            return
        except duckdb.OperationalError:
            raise  # memory, disk or the store, not the bytes
        except duckdb.Error as error:
            if last:
                raise Corrupt(
                    f"{lake.url()}: a file of release {release.number} cannot be opened: {error}; restore the "
                    "object, or build its day again"
                ) from error


@contextmanager
def _reading(lake: Location) -> Iterator[None]:
    """DuckDB asks the store by itself: what it says then, as the store's own reads say it."""
    try:
        yield
    except duckdb.IOException as error:
        said = str(error).partition("\n")[0]
        if "HTTP" not in said:  # this machine's disk
            raise
        raise StoreUnavailable(
            f"{lake.url()}: object storage did not hand out a file of the release: {said}; run the same again"
        ) from error


def connect_store(connection: duckdb.DuckDBPyConnection) -> None:
    """Load the S3 reader and give it the endpoint and credentials of the environment."""
    connection.execute(store_setup())


def store_setup() -> str:
    """SQL that lets a DuckDB session read the lake; holds credentials, so it is never written to the lake."""
    store = environment.object_store()
    options = {"TYPE": "s3", "REGION": quote(store["region"] or "")}
    for option, name in (
        ("KEY_ID", "key_id"),
        ("SECRET", "secret"),
        ("SESSION_TOKEN", "session_token"),
    ):
        if store[name]:
            options[option] = quote(store[name] or "")
    if store["endpoint"]:
        parts = urlsplit(store["endpoint"])
        options |= {
            "ENDPOINT": quote(parts.netloc),
            "URL_STYLE": "'path'",
            "USE_SSL": "true" if parts.scheme == "https" else "false",
        }
    listed = ", ".join(f"{name} {value}" for name, value in options.items())
    return f"LOAD {quote(str(sql.httpfs()))};\nCREATE OR REPLACE SECRET lake ({listed});\n"


def _select(release: Release, table: str, lake: Location) -> str:
    entries = list(release.partitions(table).values())
    keys = [one["key"] for one in files(entries)]
    root = f"coalesce(getvariable('lake'), {quote(lake.url().rstrip('/'))}) || '/'"
    return shapes.select(
        ALL[table],
        entries,
        keys,
        lambda listed: f"list_transform({listed}, lambda key: {root} || key)",
    )
