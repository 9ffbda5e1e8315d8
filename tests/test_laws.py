"""The laws, over random valid, broken, repeated and reordered input: conservation, determinism, first delivery wins."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etl import contract as contracts
from etl import deduplicate, lookup, manifest, mapping, normalize, release, sql
from etl import settings as environment
from etl.collect import KEYS
from etl.store import Pinned, Store
from sample import generate
from sample.land import land
from tests.events import DAY, adjust, evening, event, key, lines, void

# an example is a batch with many cases in it: to read one record takes as long as to read a hundred
QUICK = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ENVIRONMENT = {
    "USAGE_EXPORT_LANDING": "s3://landing/laws",
    "USAGE_EXPORT_LAKE": "s3://lake/laws",
    "USAGE_EXPORT_PII_KEY": "0123456789abcdef",
}

ids = st.sampled_from([f"e{n}" for n in range(6)])
quantities: st.SearchStrategy = st.one_of(
    st.integers(0, 10**12),
    st.decimals(0, 10**9, places=9).map(str),
    st.sampled_from(
        [
            "12345678901234567.123456789",
            0.1,
            1e-9,
            "-1",
            "1e3",
            "0.0000000001",
            "NaN",
            None,
            True,
            [],
            "x",
        ]
    ),
)
moments = st.integers(0, 3 * 24 * 3600 - 1).map(
    lambda s: f"2026-11-{16 + s // 86400}T{s // 3600 % 24:02}:{s // 60 % 60:02}:{s % 60:02}Z"
)
good = st.builds(event, ids, st.integers(0, 1000), moments)
odd = st.builds(
    event, ids, quantities, st.one_of(moments, st.text(max_size=25), st.just("2026-11-18T10:00:00"))
)
broken = st.one_of(
    st.binary(max_size=60).map(lambda b: b.replace(b"\n", b"?")),
    st.text(max_size=40).map(lambda t: t.replace("\n", "?").encode("utf-8", "surrogatepass")),
    st.sampled_from(
        [
            b"",
            b"   ",
            b"null",
            b"[]",
            b"{",
            b"{}",
            b'{"id":1}',
            b"\xff\xfe",
            b'{"a":"\\u0000"}',
            b"\x00",
        ]
    ),
)
records = st.lists(st.one_of(good, odd, broken), max_size=25)
corrections = st.one_of(
    st.builds(void, ids, st.sampled_from(["v1", "v2"])), st.builds(adjust, ids, st.integers(-9, 9))
)


@QUICK
@given(objects=st.lists(records, min_size=3, max_size=8))
def test_every_record_of_every_object_is_accepted_or_refused(
    tmp_path_factory, object_store, objects
):
    results, accepted, refused = normalized(tmp_path_factory.mktemp("batch"), objects)

    for given_records, result in zip(objects, results, strict=True):
        written = [one for one in map(as_bytes, given_records) if one.strip()]
        assert result.records.rows_in == len(written)
        assert result.records.kept + result.records.refused == len(written)
        result.tallies("app_usage")  # balances rows and quantities of every meter, or raises
    keys = [(row["raw_object_key"], row["raw_line"]) for row in accepted + refused]
    assert len(keys) == len(set(keys)) == sum(result.records.rows_in for result in results)
    assert all(row["reason"] for row in refused)


exact = st.decimals(-(10**19), 10**19, allow_nan=False, places=9)


@QUICK
@example(written=[(Decimal("6.64E-7"), True), (Decimal("9999999999999999999.999999337"), True)])
@given(written=st.lists(st.tuples(exact, st.booleans()), min_size=4, max_size=20))
def test_a_quantity_comes_out_with_every_digit(tmp_path_factory, object_store, written):
    texts = [format(one, "f") if number else f'"{one:f}"' for one, number in written]
    records = [json.dumps(event("a", "Q")).replace('"Q"', text).encode() for text in texts]

    _, accepted, refused = normalized(tmp_path_factory.mktemp("batch"), [records])

    quantities = {n: quantity for n, (quantity, _) in enumerate(written, 1)}
    assert {row["raw_line"]: row["quantity"] for row in accepted} == {
        n: quantity for n, quantity in quantities.items() if quantity >= 0
    }
    assert {row["raw_line"]: row["reason"] for row in refused} == {
        n: "negative_quantity" for n, quantity in quantities.items() if quantity < 0
    }


deliveries = st.lists(st.one_of(good, corrections), max_size=12)
# a tenant each, whose identities no other has
stories = st.lists(st.tuples(deliveries, deliveries), min_size=3, max_size=5)


@QUICK
@given(told=stories)
def test_what_counts_is_what_a_plain_reading_of_the_rules_gives(
    tmp_path_factory, object_store, told
):
    expect_what_counts(tmp_path_factory.mktemp("batch"), told)


@pytest.mark.soak
@settings(QUICK, max_examples=1500)
@given(told=stories)
def test_what_counts_holds_over_thousands_of_deliveries(tmp_path_factory, object_store, told):
    expect_what_counts(tmp_path_factory.mktemp("batch"), told)


def expect_what_counts(folder, told: list[tuple[list, list]]) -> None:
    landed = (
        [own(one, n) for n, story in enumerate(told) for one in story[part]] for part in (0, 1)
    )
    normalized(folder, [*landed])

    assert decided(folder / "accepted.parquet") == {
        (day, f"t-{n}"): quantity
        for n, (first, second) in enumerate(told)
        for day, quantity in expected(first + second).items()
    }


def own(one: dict, tenant: int) -> dict:
    """The event of a tenant, under an id of its own, also where it names another."""
    text = json.dumps(one | {"subject": f"t-{tenant}"})
    return json.loads(text.replace('"id": "', f'"id": "{tenant}-'))


def decided(accepted) -> dict[tuple[str, str], Decimal]:
    """Totals by usage date and tenant: the models of deduplicate over accepted rows, each date made on its own."""
    totals = {}
    with sql.connect(environment.from_environment(ENVIRONMENT)) as engine:
        rows = f"read_parquet('{accepted}')"
        days = [
            row["usage_date"] for row in sql.rows(engine, f"SELECT DISTINCT usage_date FROM {rows}")
        ]
        for day in days:
            own, other = f"usage_date = '{day}'", f"usage_date <> '{day}'"
            engine.execute(f"CREATE OR REPLACE TEMP TABLE own_key AS {KEYS} {rows} WHERE {own}")
            engine.execute(f"CREATE OR REPLACE TEMP TABLE other_key AS {KEYS} {rows} WHERE {other}")
            engine.execute(f"CREATE OR REPLACE TEMP TABLE arrival AS FROM {rows} WHERE {own}")
            engine.execute(
                "CREATE OR REPLACE TEMP TABLE foreign_arrival AS "
                f"FROM {rows} SEMI JOIN ({sql.model('usage/foreign_date')}) USING (usage_date, landed_date)"
            )
            deduplicate.compare_rivals(engine, at_once=30)
            engine.execute("CREATE OR REPLACE TEMP VIEW far_arrival AS FROM arrival LIMIT 0")
            deduplicate.correct(engine, reach=36)
            engine.execute(
                "CREATE OR REPLACE TEMP VIEW arrival_place AS "
                "SELECT raw_object_key, raw_line, rowid AS place FROM arrival"
            )
            query = "SELECT tenant_id AS t, sum(quantity) AS q FROM arrival "
            query += f"WHERE rowid NOT IN ({sql.model('usage/set_aside')}) GROUP BY 1"
            for row in sql.rows(engine, query):
                totals[str(day), row["t"]] = row["q"]
    return totals


def expected(events: list[dict]) -> dict[str, Decimal]:
    """First delivery by identity; voids cancel records and the adjusts of them."""
    kept: dict[str, dict] = {}
    for one in events:
        kept.setdefault(one["id"], one)
    voided = {one["data"]["voids"]["id"] for one in kept.values() if "voids" in one["data"]}
    totals: dict[str, Decimal] = {}
    for one in kept.values():
        target = one["data"].get("adjusts", {}).get("id")
        if "voids" in one["data"] or one["id"] in voided or target in voided:
            continue
        totals[one["time"][:10]] = (
            totals.get(one["time"][:10], Decimal(0)) + one["data"]["quantity"]
        )
    return totals


@pytest.mark.usefixtures("quick_judge")
def test_threads_batches_order_and_backfill_leave_every_byte_alone(lake, monkeypatch):
    reference = content(lake, "2", 1000, monkeypatch, backfill=False)

    again = content(lake, "1", 2, monkeypatch, backfill=True)

    assert again == reference
    assert len(reference["usage_arrival"]) >= 3


def content(lake, threads: str, objects_a_batch: int, monkeypatch, backfill: bool) -> dict:
    """Tables of the release that the sample gives in a lake of its own, without what names runs."""
    made = generate(5, date(2026, 11, 18), 1)
    objects = made.objects[::-1] if backfill else made.objects
    name = f"{lake.name}-{threads}-{objects_a_batch}-{backfill}"
    land(replace(made, objects=objects), "landing", f"{name}/", lake.client)
    monkeypatch.setenv("USAGE_EXPORT_LANDING", f"s3://landing/{name}")
    monkeypatch.setenv("USAGE_EXPORT_LAKE", f"s3://lake/{name}")
    monkeypatch.setenv("USAGE_EXPORT_THREADS", threads)
    monkeypatch.setattr(manifest, "BATCH_OBJECTS", objects_a_batch)
    for stream in ("app_usage", "cloudtrail"):
        lake.run(stream, *made.landed_dates)
    number = lake.release().number
    if backfill:
        for stream in ("app_usage", "cloudtrail"):
            lake.run(stream, *made.landed_dates)
        assert lake.release().number == number
    tables = lookup.open_release()[0].body["tables"]
    assert set(tables) >= {
        "usage_arrival",
        "usage_event",
        "usage_daily",
        "quarantine",
        "duplicate",
        "tally",
        "manifest",
    }
    return {
        table: {
            name: {k: v for k, v in entry.items() if k not in release.PROVENANCE}
            for name, entry in partitions.items()
        }
        for table, partitions in tables.items()
    }


def test_the_engine_keeps_nothing_of_a_file_that_may_be_replaced_under_its_name(tmp_path):
    """Its cache now and then gave pages of the file before, or failed on them."""
    path = tmp_path / "export.parquet"
    with sql.connect(environment.from_environment(ENVIRONMENT)) as engine:
        for n in range(5):
            pq.write_table(pa.table({"n": [n] * 200_000}), path, compression="zstd")
            assert (
                sql.rows(engine, f"SELECT sum(n)::BIGINT AS n FROM '{path}'")[0]["n"] == n * 200_000
            )
            path.unlink()
        assert sql.rows(engine, "FROM duckdb_external_file_cache()") == []


def normalized(folder, objects: list[list]) -> tuple[list, list[dict], list[dict]]:
    """Results and rows of the normalize stage over objects that lie in a local store."""
    env = environment.from_environment(ENVIRONMENT)
    contract = contracts.load(env.contracts, "app_usage")
    source = _Files([lines(*one) for one in objects], folder, env.landing)
    results, missed = normalize.normalize(env, source, contract, source.landed, folder)
    assert missed == []
    with sql.connect(env) as engine:
        accepted = sql.rows(engine, f"FROM '{folder}/accepted.parquet'")
        refused = sql.rows(engine, f"FROM '{folder}/refused.parquet'")
    return results, accepted, refused


class _Files(Store):
    """Objects on disk, where the property under test does not reach object storage."""

    def __init__(self, bodies: list[bytes], folder, location) -> None:
        self.location, self._bodies = location, bodies
        self.landed = [
            manifest.Landed(
                Pinned(key(offset=n), f"etag{n}", None, len(body), evening()), DAY, "0", n * 100
            )
            for n, body in enumerate(bodies)
        ]

    def fetch(self, pinned: Pinned, target) -> str:
        target.write_bytes(self._bodies[[one.pinned.key for one in self.landed].index(pinned.key)])
        return "0" * 64


def as_bytes(one) -> bytes:
    return one if isinstance(one, bytes) else json.dumps(one).encode()


def test_a_mapping_that_gives_a_float_quantity_is_refused(tmp_path, monkeypatch, lake):
    from etl.errors import ContractError

    env = environment.from_environment()
    contract = contracts.load(env.contracts, "app_usage")
    lossy = sql.model(contract.mapping.sql).replace("exact_quantity(quantity)", "quantity::DOUBLE")
    monkeypatch.setattr(mapping, "query", lambda _: lossy)

    with sql.connect(env) as engine, pytest.raises(ContractError, match="quantity is DOUBLE"):
        mapping.prepare(engine, contract)
