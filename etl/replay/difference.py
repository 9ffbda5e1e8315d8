"""What differs between two releases, by partition."""

from etl.release import PROVENANCE, Changes, Entry, Release, same

KEPT = "kept"
Described = dict[str, object]


def changes(old: Release, new: Release) -> Changes:
    """What would turn the old one into the new one, as a Change publishes it; None removes a partition."""
    found: Changes = {}
    for table in sorted(old.body["tables"].keys() | new.body["tables"].keys()):
        was, now = (one.body["tables"].get(table, {}) for one in (old, new))
        for name in sorted(was.keys() | now.keys()):
            entry = _without_provenance(now.get(name))
            if not same(was.get(name), entry):
                found.setdefault(table, {})[name] = entry
    return found


def described(old: Release, made: Changes, remade: Changes) -> list[Described]:
    """One item a partition: what publishing `made` on top of `old` does, with both sizes; and what was
    `remade` to the same as it is published.

    `relabelled` are partitions whose bytes stay, while their entry names another contract or validation.
    """
    items: list[Described] = []
    for table in sorted(made.keys() | remade.keys()):
        was, now = old.body["tables"].get(table, {}), made.get(table, {})
        for name in sorted(now.keys() | (remade.get(table, {}).keys() & was.keys())):
            before, after = was.get(name), now[name] if name in now else was[name]
            state = _state(before, after) if name in now else KEPT
            sizes = {"old": _sizes(before), "new": _sizes(after)}
            items.append({"table": table, "partition": name, "state": state} | sizes)
    return items


def moved(seen: Release, newest: Release, made: Changes, stream: str) -> str | None:
    """The first partition of a stream that somebody published after `seen`; what is in it as it was
    `made` does not count."""
    for table in sorted(seen.body["tables"].keys() | newest.body["tables"].keys()):
        was, now = (one.partitions(table, stream=stream) for one in (seen, newest))
        for name in sorted(was.keys() | now.keys()):
            old, new = was.get(name), now.get(name)
            ours = name in made.get(table, {}) and same(new, made[table][name])
            if (old and old["since"]) != (new and new["since"]) and not ours:
                return f"{table}/{name}"
    return None


def _state(old: Entry | None, new: Entry | None) -> str:
    if old is None or new is None:
        return "added" if old is None else "removed"
    return "changed" if old["files"] != new["files"] else "relabelled"


def _sizes(entry: Entry | None) -> Described | None:
    if entry is None:
        return None
    return {
        "rows": sum(file["rows"] for file in entry["files"]),
        "bytes": sum(file["bytes"] for file in entry["files"]),
        "sha256": [file["sha256"] for file in entry["files"]],
    }


def _without_provenance(entry: Entry | None) -> Entry | None:
    return entry and {key: value for key, value in entry.items() if key not in PROVENANCE}
