"""What a draft changes, as data: by partition, by total, by quarantine reason; and whether a dry run said so."""

import hashlib
import json

from etl import layout, sql, staged
from etl.errors import StaleInput
from etl.release import Changes, Release
from etl.replay import difference, draft
from etl.settings import code_version
from etl.shown import many
from etl.tables import QUARANTINE, RESTATEMENT, USAGE_DAILY
from etl.work import Work

ASKED = ("stream", "from", "to", "reason")  # what the release tells of its replay
KNOWN = ("partitions", "totals", "quarantine")


def listing(
    drafted: Work, base: Release, now: Release, made: Changes, usage_dates: list[str]
) -> dict:
    """Everything that publishing the draft changes; quantities as text, never as floats."""
    objects = drafted.load("manifest.json")["objects"]
    contract = drafted.contract.model_dump_json().encode()
    remade = _remade(drafted, usage_dates)
    return {
        **{name: drafted.replay[name] for name in (*ASKED, "dry_run", "base")},
        "code": code_version(),
        "contract": hashlib.sha256(contract).hexdigest(),
        "objects": {one["key"]: one["etag"] for one in objects},
        "bytes": sum(one["size_bytes"] for one in objects),
        "usage_dates": usage_dates,
        "partitions": difference.described(base, made, remade),
        **_counted(drafted, base, now, remade),
    }


def changed(found: dict) -> list[dict]:
    """Partitions that are not as they are published."""
    return [one for one in found["partitions"] if one["state"] != difference.KEPT]


def dates(found: dict) -> list[str]:
    """Days of which a statement tells something else: landed dates and usage dates of what changed."""
    values = [layout.partition_values(str(one["partition"])) for one in changed(found)]
    names = ("usage_date", "landed_date", "date")
    return sorted({one[name] for one in values for name in names if name in one})


def keep(drafted: Work, found: dict) -> None:
    """For the run that is not dry."""
    drafted.lake.write(_key(found), json.dumps(found).encode())


def forget(drafted: Work, found: dict) -> None:
    """What a dry run had listed is published: it binds no later run."""
    drafted.lake.write(_key(found), b"{}")


def compared(drafted: Work, found: dict) -> list[str]:
    """What moved since the last dry run of these dates; StaleInput where something else would change."""
    body = drafted.lake.read(_key(found))
    seen = json.loads(body.data) if body else {}
    if not seen:
        return []
    notes = _moved(drafted, seen, found)
    if changed(found) and _essence(seen) != _essence(found):
        raise StaleInput(
            f"{found['stream']}, landed {found['from']} to {found['to']}: what would change is not what "
            f"the dry run had listed ({'; '.join(notes) or 'neither landing nor lake moved'}); nothing "
            "was published: run it dry again and look at its list"
        )
    return notes


def _key(found: dict) -> str:
    return layout.work(f"replay-{found['stream']}-{found['from']}-{found['to']}", "dry_run.json")


def _remade(drafted: Work, usage_dates: list[str]) -> Changes:
    """All partitions that the stages staged."""
    made = [drafted.load("validated.json")]
    made += [drafted.load(day, "validated.json")["tables"] for day in usage_dates]
    found: Changes = {}
    for tables in made:
        for table, entries in tables.items():
            found.setdefault(table, {}).update(entries)
    return found


def _counted(drafted: Work, base: Release, now: Release, remade: Changes) -> dict[str, list[dict]]:
    """Totals of the usage dates, and what is refused on the landed dates, before and after."""
    lake = draft.lake(drafted)
    with drafted.scratch() as folder, sql.connect(drafted.settings) as engine:
        for table, short in ((USAGE_DAILY.name, "daily"), (QUARANTINE.name, "quarantine")):
            for view, of, store in (("published", base, lake), ("replayed", now, drafted.lake)):
                entries = of.body["tables"].get(table, {})
                mine = [entries[name] for name in remade.get(table, {}) if name in entries]
                staged.give(engine, store, f"{view}_{short}", table, mine, folder)
        return {
            "totals": sql.rows(engine, sql.model("report/replay_total")),
            "quarantine": sql.rows(engine, sql.model("report/replay_quarantine")),
        }


def _moved(drafted: Work, seen: dict, found: dict) -> list[str]:
    notes = []
    was, now = seen["objects"], found["objects"]
    other = sorted(key for key in was.keys() | now.keys() if was.get(key) != now.get(key))
    if other:
        first = drafted.landing.url(other[0])
        notes.append(
            f"landing moved: {many(len(other), 'object')} came, went or changed, first {first}"
        )
    if seen["base"] != found["base"]:
        notes.append(f"the lake moved from release {seen['base']} to {found['base']}")
    if (seen["code"], seen["contract"]) != (found["code"], found["contract"]):
        notes.append("contract or code changed")
    return notes


def _essence(found: dict) -> list:
    """What must be equal: but for the bytes of the ledger that quotes the reason."""
    partitions = [
        one | {"new": one["new"]["rows"]}
        if one["table"] == RESTATEMENT.name and one["new"]
        else one
        for one in changed(found)
    ]
    return [partitions, found["totals"], found["quarantine"]]
