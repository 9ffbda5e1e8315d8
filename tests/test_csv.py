"""A source that writes CSV: from its bytes to published totals, each row in its place."""

import gzip

import pytest

from etl.settings import ROOT
from tests.events import API, DAY, TOKENS, evening, key

pytestmark = pytest.mark.usefixtures("quick_judge")


def test_a_csv_is_counted_to_the_digit_and_what_is_no_row_is_quarantined(
    lake, tmp_path, monkeypatch
):
    # given a contract that reads the same events from CSV, under names with a blank
    text = (ROOT / "contracts/app_usage/1.0.0.yaml").read_text()
    text = text.replace("format: json_lines", "format: csv").replace(
        "contiguous: true", "contiguous: false"
    )
    text = text.replace("$.data.quantity,", '"$.\\"How much\\"",')
    (tmp_path / "app_usage").mkdir()
    (tmp_path / "app_usage/1.0.0.yaml").write_text(text)
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(tmp_path))
    rows = [
        'specversion,id,source,type,time,subject,"How much"',
        f'1.0,a,//app/a,{API},2026-11-18T10:00:00+01:00,"acme, inc",3',
        f'1.0,"b\nb",//app/a,{TOKENS},2026-11-18T10:00:00Z,,12345678901234567.123456789',
        f"1.0,c,//app/a,{API},2026-11-18T10:00:00,t-1,1",
        f"1.0,d,//app/a,{API},2026-11-18T10:00:00Z,t-1,1,2",
    ]
    lake.land(key(), gzip.compress("\r\n".join(rows).encode(), mtime=0), evening())

    # when it is read and built
    lake.run("app_usage", DAY)

    # then each value is as it was written, and the others stand in quarantine with their line
    found = "SELECT raw_line, tenant_id, quantity::VARCHAR AS q, event_time::VARCHAR AS at FROM usage_event ORDER BY 1"
    assert [tuple(row.values()) for row in lake.rows(found)] == [
        (2, "acme, inc", "3.000000000", "2026-11-18 09:00:00"),
        (3, "UNATTRIBUTED", "12345678901234567.123456789", "2026-11-18 10:00:00"),
    ]
    refused = lake.rows("SELECT raw_line, reason, raw_text FROM quarantine ORDER BY 1")
    assert [tuple(row.values()) for row in refused] == [
        (5, "no_time", rows[3]),
        (6, "not_csv", rows[4]),
    ]
