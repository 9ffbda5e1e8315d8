"""An engine is lent again and again: nobody finds what another left there, and none that went wrong is lent."""

from dataclasses import replace

import duckdb
import pyarrow as pa
import pytest

from etl import sql
from etl.errors import SettingError
from tests.models import SETTINGS

LARGE = "CREATE TEMP TABLE large AS SELECT range, md5(range::VARCHAR) AS text FROM range(2_000_000)"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(sql, "_idle", {})
    return replace(SETTINGS, scratch=tmp_path)


def value(connection, query: str):
    return connection.execute(query).fetchone()[0]


def test_what_one_made_is_gone_for_the_next(settings, tmp_path):
    with sql.connect(settings) as first:
        first.execute("CREATE TEMP TABLE mine AS SELECT 1 AS one; SET TimeZone = 'Asia/Tokyo'")
        pseudonym = value(first, "SELECT pseudonym('kim')")

    with sql.connect(replace(settings, pii_key=b"another key" * 4)) as next_one:
        with pytest.raises(duckdb.CatalogException):
            next_one.execute("FROM mine")
        assert value(next_one, "SELECT current_setting('TimeZone')") == "UTC"
        assert value(next_one, "SELECT pseudonym('kim')") != pseudonym
    assert list(tmp_path.iterdir()) == []
    assert [len(some) for some in sql._idle.values()] == [1]


def test_two_at_once_have_an_engine_each(settings):
    with sql.connect(settings) as one, sql.connect(settings) as other:
        one.execute("SET memory_limit = '100MB'")
        assert value(other, "SELECT current_setting('memory_limit')") != value(
            one, "SELECT current_setting('memory_limit')"
        )


def test_one_that_spilled_is_not_lent_as_its_folder_is_gone(settings, tmp_path):
    small = replace(settings, memory="60MB")
    for _ in range(2):
        with sql.connect(small) as connection:
            connection.execute(LARGE)
            assert list(tmp_path.glob("duckdb-*/*"))


def test_one_that_ran_out_of_memory_is_not_lent(settings):
    with (
        pytest.raises(SettingError, match="USAGE_EXPORT_MEMORY"),
        sql.connect(replace(settings, memory="8MB")) as connection,
    ):
        connection.execute("SET temp_directory = ''")
        connection.execute(LARGE)

    assert [len(some) for some in sql._idle.values()] == [0]


def test_a_planned_query_runs_over_the_rows_that_it_is_given(settings):
    with sql.connect(settings) as connection:
        doubled = sql.Planned(connection, "given", "SELECT a || a AS a FROM given ORDER BY b")
        other = sql.Planned(connection, "other", "SELECT count(*) AS n FROM other")
        for words in (["x"], ["y", None, "z"], [], ["x"]):
            numbers = pa.array(range(len(words)), pa.int64())
            rows = pa.table({"a": pa.array(words, pa.string()), "b": numbers})
            found = [row["a"] for row in sql.dicts(doubled.over(rows))]
            assert found == [word and word * 2 for word in words]
            assert sql.dicts(other.over(rows)) == [{"n": len(words)}]

        # also of other columns, whose memory is not that of those it knows
        strange = pa.table({"b": pa.array(["2", "1"]), "c": [1, 2], "a": pa.array([b"y", b"z"])})
        assert [row["a"] for row in sql.dicts(doubled.over(strange))] == [b"zz", b"yy"]
        assert sql.dicts(doubled.over(rows)) == [{"a": "xx"}]
