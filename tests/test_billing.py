"""From landed deliveries to released charges: one truth a month, and every cent of it accounted for."""

import json
import shutil
from datetime import datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from etl import cli, judge, sql
from etl.billing import contract as billing_contract
from etl.billing import settle, stages
from etl.errors import ContractError, OutOfBalance
from etl.settings import ROOT
from tests.bills import FOLDER, bill, land, line
from tests.conftest import SHARED_DATA, Lake, decide

BILLS = SHARED_DATA.parent / "billing"
CUR2 = BILLS / "aws" / "cur2_derived"
FIRST, SECOND = datetime(2026, 10, 20, 6), datetime(2026, 10, 21, 6)
shared = pytest.mark.skipif(not BILLS.is_dir(), reason="the shared sample data is not here")


pytestmark = pytest.mark.usefixtures("quick_judge")


@pytest.fixture(scope="module")
def good_month(object_store) -> Lake:
    """A lake with a month of one line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "judge", decide)
        made = Lake(object_store, "good-month", patch)
        land(made, "good.csv", bill(line()), FIRST)
        stages.ingest("aws_focus", "first")
    return made


def states(lake) -> dict[str, tuple]:
    found = lake.rows("SELECT * FROM delivery ORDER BY submitted_at, delivery_id")
    return {
        row["delivery_id"].split("/")[-1].split("@")[0]: (row["state"], row["reason"])
        for row in found
    }


def billed(lake) -> dict[str, Decimal]:
    found = lake.rows(
        "SELECT billing_currency, sum(billed_cost)::DECIMAL(38,18) AS cost FROM charge GROUP BY 1"
    )
    return {row["billing_currency"]: row["cost"] for row in found}


def test_a_newer_delivery_replaces_its_month_and_says_what_moved(lake):
    # given a loaded month
    land(lake, "one.csv", bill(line(), line(BilledCost="0.000000000000000001")), FIRST)
    stages.ingest("aws_focus", "first")
    before = billed(lake)

    # when a delivery comes in which a line costs more
    land(
        lake, "two.csv", bill(line(BilledCost="3"), line(BilledCost="0.000000000000000001")), SECOND
    )
    stages.ingest("aws_focus", "second")

    # then the month is the newer one, and the difference is in the ledger
    assert before == {"USD": Decimal("1.250000000000000001")}
    assert billed(lake) == {"USD": Decimal("3.000000000000000001")}
    assert states(lake) == {
        "one.csv": ("superseded", "newer_delivery"),
        "two.csv": ("loaded", None),
    }
    (moved,) = lake.rows("SELECT * FROM charge_restatement")
    assert (moved["old_billed_cost"], moved["billed_difference"]) == (
        before["USD"],
        Decimal("1.75"),
    )
    assert (moved["closed"], moved["replaced"]) == (0, 1)

    # and where nothing new came, nothing changes
    release = lake.release()
    stages.ingest("aws_focus", "third")
    assert lake.release() == release


def test_a_month_moved_while_it_was_open_whatever_else_came_with_it(lake):
    # given a month, and at once a newer delivery of it and a late one of the month after
    land(lake, "one.csv", bill(line()), FIRST)
    stages.ingest("aws_focus", "first")
    land(lake, "two.csv", bill(line(BilledCost="3")), SECOND)
    later = {
        "BillingPeriodStart": "2026-11-01T00:00:00Z",
        "BillingPeriodEnd": "2026-12-01T00:00:00Z",
    }
    november = FOLDER.replace("2026-10", "2026-11")
    lake.land(f"{november}/late.csv", bill(line() | later), datetime(2026, 11, 20))
    stages.ingest("aws_focus", "second")

    (moved,) = lake.rows("SELECT closed, cause FROM charge_restatement")
    assert moved["closed"] == 0 and "two.csv" in moved["cause"] and "late.csv" not in moved["cause"]


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (bill(), ("rejected", "empty")),
        (b"", ("rejected", "object_empty")),
        (b"\xff\xfe\n", ("rejected", "object_not_utf8")),
        (b"Billed\rCost\n\xff\n", ("rejected", "missing_column")),
        (b"\n\xff\n", ("rejected", "missing_column")),
        (bill(line(BilledCost="much")), ("rejected", "amount_not_a_number")),
        (bill(line(BilledCost="1e25")), ("rejected", "amount_too_large")),
        (bill(line(BilledCost="")), ("rejected", "no_value")),
        (bill(line(ChargePeriodStart="yesterday")), ("rejected", "time_not_readable")),
        (bill(line(Tags="team=a")), ("rejected", "not_json")),
        (bill(line(BillingPeriodStart="2026-09-01T00:00:00Z")), ("rejected", "wrong_period")),
        (bill(line(ChargePeriodStart="2026-10-01T00:00:00Z")), ("rejected", "partial_month")),
        (bill(line()).replace(b"BilledCost", b"Cost"), ("rejected", "missing_column")),
        (bill(line()).replace(b",", b";"), ("rejected", "object_not_csv")),
        (bill(line()).replace(b",", b"\t"), ("rejected", "object_not_csv")),
        (bill(line()).replace(b"SubAccountName", b"billedcost"), ("rejected", "repeated_column")),
        (bill(line() | {"Billed_Cost": "9"}), ("rejected", "repeated_column")),
        (bill(line()).replace(b"0456", b"0456,,,,"), ("rejected", "object_not_csv")),
        (bill(line(**{f"x_{n}": "" for n in range(2000)})), ("rejected", "too_many_columns")),
        (bill(line()), ("superseded", "same_content")),
    ],
    ids=lambda one: one[1] if isinstance(one, tuple) else "",
)
def test_what_is_no_good_month_never_replaces_one(good_month, lake, body, outcome):
    lake.copy_of(good_month)
    before = lake.release().body["tables"]["charge"]

    land(lake, "other.csv", body, SECOND)
    stages.ingest("aws_focus", "second")

    assert states(lake) == {"good.csv": ("loaded", None), "other.csv": outcome}
    if outcome[1].startswith("object_"):
        (why,) = lake.rows("SELECT detail FROM delivery WHERE state = 'rejected'")
        assert why["detail"].startswith(f"{FOLDER}/other.csv")
    assert lake.release().body["tables"]["charge"] == before
    assert billed(lake) == {"USD": Decimal("1.25")}


@pytest.mark.parametrize(
    "tail", ["WHERE x_row.number <> 1", "JOIN (VALUES (1), (2)) twice(n) ON true"]
)
def test_a_mapping_that_loses_or_doubles_a_row_publishes_nothing(lake, tmp_path, monkeypatch, tail):
    models = shutil.copytree(sql.SQL, tmp_path / "sql")
    (models / "normalize" / "focus.sql").open("a").write(f"{tail}\n")
    monkeypatch.setattr(sql, "SQL", models)
    land(lake, "one.csv", bill(line(), line(BilledCost="3")), FIRST)

    with pytest.raises(
        OutOfBalance, match=r"normalize/focus.sql made \d rows, .* of 2 rows of billing/aws"
    ):
        stages.ingest("aws_focus", "first")
    assert lake.release().number == 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("no_such_function(invoice_id) AS invoice_id,", "no_such_function does not exist"),
        ("invoice_id invoice_id AS,", 'syntax error at or near "AS"'),
        ("(SELECT max(a) FROM no_such_table) AS invoice_id,", "no_such_table does not exist"),
    ],
)
def test_a_mapping_that_no_row_was_read_by_blames_none(lake, tmp_path, monkeypatch, wrong, says):
    models = shutil.copytree(sql.SQL, tmp_path / "sql")
    model = models / "normalize" / "focus.sql"
    model.write_text(model.read_text().replace("    invoice_id,", f"    {wrong}"))
    monkeypatch.setattr(sql, "SQL", models)
    land(lake, "one.csv", bill(line()), FIRST)

    with pytest.raises(ContractError, match=says) as found:
        stages.ingest("aws_focus", "first")
    assert "sql/normalize/focus.sql" in str(found.value) and "row" not in str(found.value)


@pytest.mark.parametrize("odd", [1, 4, 5])
def test_a_mapping_that_raises_is_a_wrong_contract_and_says_on_which_row(
    lake, tmp_path, monkeypatch, odd
):
    models = shutil.copytree(sql.SQL, tmp_path / "sql")
    model = models / "normalize" / "focus.sql"
    text = model.read_text()
    assert "    invoice_id," in text
    model.write_text(text.replace("    invoice_id,", "    invoice_id::INT::VARCHAR AS invoice_id,"))
    monkeypatch.setattr(sql, "SQL", models)
    lines = [line(InvoiceId="secret" if n == odd else "1") for n in range(1, 6)]
    land(lake, "one.csv", bill(*lines), FIRST)

    with pytest.raises(ContractError) as wrong:
        stages.ingest("aws_focus", "first")

    assert f"ConversionException on row {odd} of {FOLDER}/one.csv: " in str(wrong.value)
    assert "secret" not in str(wrong.value) and wrong.value.__cause__ is None


def test_a_charge_of_a_day_far_ahead_does_not_tell_how_far_a_delivery_reaches(lake):
    ahead = line(ChargePeriodStart="2126-10-02T00:00:00Z", ChargePeriodEnd="2126-10-03T00:00:00Z")
    land(lake, "one.csv", bill(line(), ahead), FIRST)
    stages.ingest("aws_focus", "first")

    land(lake, "two.csv", bill(line(ChargePeriodStart="2026-10-02T12:00:00Z")), SECOND)
    stages.ingest("aws_focus", "second")

    assert states(lake)["two.csv"] == ("loaded", None)


def test_an_older_delivery_never_replaces_a_newer_one(lake):
    land(lake, "newer.csv", bill(line()), SECOND)
    stages.ingest("aws_focus", "first")
    land(lake, "older.csv", bill(line(BilledCost="9")), FIRST)
    stages.ingest("aws_focus", "second")

    assert states(lake)["older.csv"] == ("superseded", "older_than_loaded")
    assert billed(lake) == {"USD": Decimal("1.25")}


def test_what_the_provider_overwrites_is_kept_byte_for_byte(lake):
    body = bill(line())
    land(lake, "one.csv", body, FIRST)
    stages.ingest("aws_focus", "first")

    (kept,) = [row["kept_key"] for row in lake.rows("SELECT kept_key FROM delivery_object")]
    assert lake.read(kept) == body


def test_a_charge_without_length_is_money_of_the_day_on_which_it_begins(lake):
    """FOCUS asks nowhere that a charge lasts: vendors write one day as its start and its end."""
    moment = line(BilledCost="9", ChargePeriodStart="2026-10-05T00:00:00Z")
    moment["ChargePeriodEnd"] = moment["ChargePeriodStart"]
    land(lake, "one.csv", bill(line(), moment), FIRST)

    assert not stages.ingest("aws_focus", "first")["refused"]

    assert billed(lake) == {"USD": Decimal("10.25")}
    days = lake.rows(
        "SELECT charge_date::VARCHAR AS day, billed_cost FROM charge_daily ORDER BY ALL"
    )
    assert [tuple(row.values()) for row in days] == [
        ("2026-10-02", Decimal("1.25")),
        ("2026-10-05", Decimal(9)),
    ]

    # and one that ends before it begins is none
    moment["ChargePeriodEnd"] = "2026-10-04T23:59:59Z"
    land(lake, "two.csv", bill(line(), moment), SECOND)
    (why,) = stages.ingest("aws_focus", "second")["refused"]
    assert "period_malformed" in why and "two.csv:2" in why
    assert billed(lake) == {"USD": Decimal("10.25")}


def test_what_was_filled_or_rounded_stands_on_the_row(lake):
    land(
        lake,
        "one.csv",
        bill(line(BilledCost="1.0000000000000000015", ListCost="", ServiceCategory="")),
        FIRST,
    )
    stages.ingest("aws_focus", "first")

    (row,) = lake.rows("SELECT billed_cost, list_cost, service_category, x_changes FROM charge")
    assert row["billed_cost"] == Decimal("1.000000000000000002")
    assert row["list_cost"] == Decimal("1.25")
    assert row["x_changes"] == {
        "rounded:billed_cost": "1.0000000000000000015",
        "filled:list_cost": "",
        "filled:service_category": "",
    }
    # and the sum of the text is kept whole
    (source,) = lake.rows("SELECT source_cost FROM charge_control WHERE stage = 'source'")
    assert Decimal(source["source_cost"]) == Decimal("1.0000000000000000015")


def land_cur2(lake, number: int) -> None:
    folder = CUR2 / f"delivery-{number}"
    at = datetime(2023, 11, 8 + 7 * (number - 1), 6)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            lake.land(f"billing/aws/cur2/{path.relative_to(folder)}", path.read_bytes(), at)


@shared
@pytest.mark.shared_data
def test_three_deliveries_of_a_real_month_come_out_to_the_last_digit(lake):
    truth = json.loads((CUR2 / "control-totals.json").read_text())
    for number in (1, 2, 3):
        land_cur2(lake, number)
        stages.ingest("aws_cur2", f"delivery-{number}")

        found = lake.rows("SELECT * FROM charge_control WHERE stage = 'source' ORDER BY category")
        expected = truth[f"delivery-{number}"]
        assert sum(row["rows"] for row in found) == expected["rows"]
        assert {row["category"]: Decimal(row["source_cost"]) for row in found} == {
            kind: Decimal(cost) for kind, cost in expected["by_line_item_type"].items()
        }
        total = Decimal(expected["line_item_unblended_cost"])
        for table in ("charge", "charge_daily"):
            (row,) = lake.rows(f"SELECT sum(billed_cost)::DECIMAL(38,18) AS cost FROM {table}")
            assert row["cost"] == total

    # of the lines of the first delivery the second re-rated two; the third added a credit and a refund
    changed = """SELECT replaced, sum(rows_changed)::INT AS n, sum(rows_removed)::INT AS gone
        FROM charge_restatement GROUP BY 1 ORDER BY 1"""
    assert [tuple(row.values()) for row in lake.rows(changed)] == [(1, 2, 0), (2, 0, 0)]
    added = lake.rows("SELECT sum(rows_added)::INT AS n FROM charge_restatement WHERE replaced = 2")
    assert added == [{"n": 2}]

    expect_nothing_that_aws_wrote_is_lost(lake)


def expect_nothing_that_aws_wrote_is_lost(lake) -> None:
    """Each value of each column that the contract does not name, read by nothing of ours."""
    (told,) = lake.rows("SELECT unknown_columns AS names FROM delivery WHERE state = 'loaded'")
    names = told["names"].split(",")
    assert {"bill_bill_type", "cost_category", "reservation_subscription_id"} <= set(names)
    kept = lake.rows(
        "SELECT x_object_key AS key, x_row, map_keys(x_other_columns) AS names FROM charge"
    )
    found = {(row["key"], row["x_row"], name) for row in kept for name in row["names"]}

    written = {
        (key, n, name)
        for key in {key for key, _, _ in found}
        for n, row in enumerate(read(key.removeprefix("billing/aws/cur2/"), names), 1)
        for name, value in row.items()
        if value not in (None, "", [])
    }
    own = {one for one in found if one[2].startswith("x_")}
    assert found - own == written and own


def read(key: str, columns: list[str]) -> list[dict]:
    return pq.read_table(CUR2 / "delivery-3" / key, columns=columns).to_pylist()


def test_sums_and_their_comparison_keep_every_digit_of_a_large_bill(lake, capsys):
    """Python's own 28 digits would round these: 11 before the point, 18 after it."""
    cost = "12345678901.000000000000000001"
    body = bill(line(BilledCost=cost), line(BilledCost=cost, ChargeCategory="Tax"))
    land(lake, "large.csv", body, FIRST)

    assert cli.main(["billing", "ingest", "aws_focus"]) == 0

    assert "billed USD 24,691,357,802.000000000000000002" in capsys.readouterr().out
    row = {"delivery": "d", "category": "Usage", "currency": "USD", "rows": 1, "stage": "source"}
    source = row | {"source_cost": Decimal(cost), "source_credits": None}
    charged = source | {"charge_type": "Usage", "source_cost": Decimal(cost[:-1] + "2")}
    contract = billing_contract.load(ROOT / "contracts", "aws_focus")
    month = settle.Month("2026-10", [source], "first", False, False)
    with pytest.raises(OutOfBalance, match="do not add up"):
        settle._refuse_lost(contract, month, [source], [charged])
