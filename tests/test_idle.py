"""A day on which nothing is new: little is done, nothing changes, and what waits is not forgotten."""

import shutil
from datetime import timedelta

import pytest

from etl import layout, stages
from etl.settings import ROOT
from tests.events import DAY, evening, event, key, lines
from tests.test_kill import STREAM

pytestmark = pytest.mark.usefixtures("quick_judge")
NEXT = DAY + timedelta(days=1)


def test_a_day_without_anything_new_goes_from_extract_to_publish(lake):
    # given a date that waits to be built, and a worker that died before readers could follow
    lake.land(key(), lines(event("a")), evening())
    lake.ingest(STREAM, DAY)
    before = lake.release()
    lake.client.delete_object(Bucket="lake", Key=f"{lake.name}/{layout.CATALOG}")

    # when the next day brings nothing, then there is no batch, and what waits is announced
    assert stages.extract(STREAM, NEXT, "idle")["batches"] == []
    done = stages.publish_arrivals(STREAM, "idle")
    assert (done["release"], done["usage_dates"]) == (before.number, [str(DAY)])
    assert (done["landed_dates"], done["objects_unread"]) == ([], 0)
    assert stages.unread(STREAM, "idle") == []

    # and all is as it was, with the readers where they belong
    assert lake.release() == before
    assert layout.CATALOG in lake.keys("_release/")


def test_a_date_that_lost_its_only_object_is_not_taken_for_one_without_anything_new(
    lake, tmp_path, monkeypatch
):
    # given a layout without dates, whose only object is replaced by one from before the look-back
    contracts = shutil.copytree(ROOT / "contracts" / STREAM, tmp_path / STREAM)
    (path,) = contracts.glob("*.yaml")
    dated = "topics/usage.events/year={yyyy}/month={MM}/day={dd}/*.json.gz"
    path.write_text(path.read_text().replace(dated, "events/*.json.gz"))
    monkeypatch.setenv("USAGE_EXPORT_CONTRACTS", str(tmp_path))
    lake.land("events/a.json.gz", lines(event("a")), evening())
    lake.run(STREAM, DAY)
    lake.land("events/a.json.gz", lines(event("b")), evening(DAY - timedelta(days=400)))

    # then a batch of no object stands for it, and the date is made anew
    assert stages.extract(STREAM, NEXT, "moved")["batches"] == [0]
    assert stages.normalize(STREAM, "moved", 0)["objects"] == 0
    assert lake.ingest(STREAM, NEXT)["usage_dates"] == [str(DAY)]
    assert lake.release().partitions("usage_arrival") == {}
