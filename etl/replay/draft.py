"""A draft of the lake: what a replay would publish, kept apart until it is published or forgotten.

Stages read a draft like the lake as it was when the replay began, and publish into it. Releases of a draft lie
in the work area of its run. So do its files where it is dry; otherwise they lie under their final keys, where
nobody sees them until a release of the lake names them.
"""

from collections.abc import Callable
from dataclasses import replace

from etl import layout, work
from etl.release import Release
from etl.settings import Location
from etl.store import Store
from etl.work import Work

PLAN = "replay.json"


def start(area: Work, base: Release, replay: dict, token: str) -> Work:
    """Begin a draft on top of a release. `token` tells it from what an earlier attempt of the run left."""
    area.save(replay | {"base": base.number, "draft": f"draft-{token}"}, PLAN)
    drafted = _drafted(area)
    newest = area.lake.read(layout.release(base.number))
    if newest:
        drafted.lake.write(layout.CURRENT, newest.data, {"release": str(base.number)})
    return drafted


def begin(stream: str, run: str) -> Work:
    """Open the draft that `start` began in this run."""
    return _drafted(work.begin(stream, run))


def lake(drafted: Work) -> Store:
    """The lake itself."""
    return Store(drafted.lake.location)


def _drafted(area: Work) -> Work:
    plan = area.load(PLAN)
    own = area.lake.location.key(layout.work(area.run, area.stream, plan["draft"]))
    place = _place(
        area.lake.location,
        Location(area.lake.location.bucket, f"{own}/"),
        area.base(plan["base"]),
        plan["dry_run"],
    )
    return replace(area, lake=Store(area.lake.location, place), replay=plan)


def _place(
    lake: Location, own: Location, base: Release, dry_run: bool
) -> Callable[[str], Location]:
    named = base.named()

    def place(key: str) -> Location:
        if key.startswith(layout.RELEASES):
            return lake if key <= layout.release(base.number) else own
        return own if dry_run and key not in named and not key.startswith(layout.WORK) else lake

    return place
