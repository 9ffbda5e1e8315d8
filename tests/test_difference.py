"""What publishing one state of the lake on top of another does, partition by partition."""

from etl.release import Release
from etl.replay.difference import changes, described, moved

S = "stream=s/usage_date=2026-11-18"


def entry(sha256: str = "a", since: int = 1, **fields) -> dict:
    file = {"key": sha256, "sha256": sha256, "bytes": 10, "rows": 2}
    return {"files": [file], "since": since, "first": 1, "run": "r", "code": "c"} | fields


def release(number: int = 1, **tables: dict) -> Release:
    return Release(number, "", {"tables": tables, "pending": {}})


def states(old: Release, new: Release, remade: dict) -> dict[str, str]:
    found = described(old, changes(old, new), remade)
    return {f"{one['table']}/{one['partition']}": one["state"] for one in found}


def test_a_partition_is_kept_changed_added_removed_or_relabelled():
    old = release(t={"kept": entry(), "changed": entry(), "gone": entry(), "label": entry(x=1)})
    new = release(
        t={"kept": entry(since=2), "changed": entry("b"), "label": entry(x=2)}, u={"new": entry()}
    )

    assert states(old, new, {"t": {"kept": entry(), "never": None}}) == {
        "t/changed": "changed",
        "t/gone": "removed",
        "t/kept": "kept",
        "t/label": "relabelled",
        "u/new": "added",
    }
    sizes = {"rows": 2, "bytes": 10, "sha256": ["a"]}
    (gone,) = (one for one in described(old, changes(old, new), {}) if one["partition"] == "gone")
    assert (gone["old"], gone["new"]) == (sizes, None)


def test_equal_releases_differ_by_nothing():
    assert changes(release(t={"p": entry()}), release(2, t={"p": entry(since=2, run="q")})) == {}


def test_moved_is_what_another_run_published_in_the_stream():
    seen = release(t={S: entry()})
    other = release(2, t={S: entry(), "stream=z/usage_date=2026-11-18": entry(since=2)})

    assert moved(seen, seen, {}, "s") is None
    assert moved(seen, other, {}, "s") is None
    assert moved(seen, release(2, t={S: entry(since=2)}), {}, "s") == f"t/{S}"
    assert moved(seen, release(2, t={}), {}, "s") == f"t/{S}"


def test_what_is_there_as_it_was_made_has_not_moved():
    seen, newest = release(t={S: entry()}), release(2, t={S: entry("b", since=2)})
    made = changes(seen, newest)

    assert moved(seen, newest, made, "s") is None
    assert moved(seen, release(2, t={S: entry("c", since=2)}), made, "s") == f"t/{S}"
