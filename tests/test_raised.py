"""A mapping whose author did not think of a record: that record is refused, all others go on."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from etl import mapping, raised, readers, sql, stages
from etl.errors import ContractError
from tests.events import DAY, evening, event, key, lines

GUARDED = sql.model("normalize/app_usage")
UNGUARDED = GUARDED.replace("exact_quantity(quantity)", "quantity::BIGINT")
RAISING = {
    "on each record": UNGUARDED.replace("quantity::BIGINT", "('x' || quantity)::BIGINT"),
    "on two together": UNGUARDED.replace(
        "quantity::BIGINT", "if(count(*) OVER () > 1, 'x', quantity)::BIGINT"
    ),
}


@pytest.mark.usefixtures("quick_judge")
def test_a_record_on_which_the_mapping_raises_is_refused_alone(lake, monkeypatch):
    monkeypatch.setattr(mapping, "query", lambda _: UNGUARDED)
    wrong = event("wrong", quantity="five")
    lake.land(key(offset=0), lines(event("a", 1), wrong, event("b", 2), "no JSON"), evening())
    lake.land(key(offset=10), lines(event("c", 4), wrong), evening())
    lake.land(key(offset=20), lines(wrong), evening())

    lake.run("app_usage", DAY)

    refused = lake.rows("SELECT raw_line, reason FROM quarantine ORDER BY raw_object_key, raw_line")
    assert [(one["raw_line"], one["reason"]) for one in refused] == [
        (2, raised.REASON),
        (4, "not_json"),
        (2, raised.REASON),
        (1, raised.REASON),
    ]
    (total,) = lake.rows("SELECT sum(quantity)::INTEGER AS quantity FROM usage_daily")
    assert total["quantity"] == 7


@pytest.mark.usefixtures("quick_judge")
def test_a_judgement_that_raises_on_what_the_mapping_gave_refuses_the_record(lake, monkeypatch):
    endless = GUARDED.replace("utc_timestamp(time)", "time::TIMESTAMP")
    monkeypatch.setattr(mapping, "query", lambda _: endless)
    lake.land(key(), lines(event("a"), event("b", at="infinity")), evening())

    lake.run("app_usage", DAY)

    (refused,) = lake.rows("SELECT raw_line, reason FROM quarantine")
    assert (refused["raw_line"], refused["reason"]) == (2, raised.REASON)


def test_one_record_that_raises_says_nothing_of_the_mapping(lake, monkeypatch):
    monkeypatch.setattr(mapping, "query", lambda _: UNGUARDED)
    lake.land(key(), lines(event("wrong", quantity="five")), evening())

    assert lake.ingest("app_usage", DAY)["rows_quarantined"] == 1


@pytest.mark.parametrize("wrong", RAISING.values(), ids=RAISING)
def test_a_mapping_that_raises_on_all_of_them_is_a_wrong_contract(lake, monkeypatch, wrong):
    monkeypatch.setattr(mapping, "query", lambda _: wrong)
    lake.land(key(), lines(event("a"), event("b"), "no JSON"), evening())

    plan = stages.extract("app_usage", DAY, "run")

    assert plan["batches"] == [0]
    with pytest.raises(ContractError, match=r"app_usage/\S+\.yaml: usage\.mapping: sql/\S+\.sql"):
        stages.normalize("app_usage", "run", 0)


@pytest.mark.parametrize("seed", range(20))
def test_just_the_records_that_raise_are_marked(seed):
    chance = np.random.default_rng(seed)
    objects = np.sort(chance.integers(0, 12, chance.integers(1, 300)))
    wrong = chance.random(len(objects)) < chance.choice([0.01, 0.3, 1])

    assert marks(objects, wrong) == wrong.tolist()


def test_where_attempts_run_out_no_other_object_suffers(monkeypatch):
    monkeypatch.setattr(raised, "ATTEMPTS", 8)
    objects = np.repeat([0, 1, 2, 3], 50)
    wrong = (objects == 1) | (np.arange(200) == 170)

    found = np.array(marks(objects, wrong))

    assert found[wrong].all()
    assert not found[(objects == 0) | (objects == 2)].any()


def marks(objects: np.ndarray, wrong: np.ndarray) -> list[bool]:
    numbers = pa.array(np.arange(len(objects)))
    empty = {name: pa.nulls(len(objects), kind) for name, kind in _columns().items()}
    chunk = pa.table(empty | {"raw_line": numbers, "object_id": pa.array(objects, pa.int32())})

    def attempt(some: pa.Table) -> None:
        if wrong[some["raw_line"].to_numpy()].any():
            raise duckdb.ConversionException("no number")

    reasons = raised.marked(chunk, attempt)["reader_reason"].to_pylist()
    assert set(reasons) <= {None, raised.REASON}
    return [one is not None for one in reasons]


def _columns() -> dict[str, pa.DataType]:
    return dict(zip(readers.SCHEMA.names, readers.SCHEMA.types, strict=True))
