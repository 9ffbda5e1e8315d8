"""python -m deploy.embedded run | up | down | sql [QUERY]: the whole stack on this machine."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from deploy.embedded import objectstore, process, server
from deploy.embedded.environment import ROOT, Secrets, environment, keep_secrets, run_folder
from deploy.embedded.objectstore import ObjectStore

SEED, FIRST_DAY, DAYS = 7, date(2026, 11, 18), 3
# that a lane with nothing new has returned nothing is no error
QUIET = {"AIRFLOW__LOGGING__NAMESPACE_LEVELS": "airflow.sdk.api.client=critical"}


def main(arguments: list[str]) -> int:
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # so that what runs is stopped, as with Ctrl-C
    process.reach_loopback()  # also where the store runs already
    folder = run_folder()
    kept = keep_secrets(folder)
    match arguments:
        case ["run"]:
            return _run(folder, kept)
        case ["up"]:
            return server.up(folder, kept)
        case ["down"]:
            return server.down(folder)
        case ["sql", *query]:
            with _store(folder, kept) as store:
                return _call(
                    ["usage-export", "sql", *[one for one in query if one]],
                    environment(folder, kept, store),
                )
    print(__doc__, file=sys.stderr)
    return 2


def _run(folder: Path, kept: Secrets) -> int:
    from sample import generate
    from sample.land import land

    with _store(folder, kept) as store:
        print(f"object store: {store.endpoint}, all data in {folder.name}/", flush=True)
        made = generate(SEED, FIRST_DAY, DAYS)
        new = land(made, "landing", "", store.client())
        print(f"sample: {new} of {len(made.objects)} objects landed now", flush=True)
        before, home = _release(store), _airflow_folder(folder)
        env = environment(home, kept, store)
        days = [str(day) for day in made.landed_dates]
        runner = [sys.executable, "-W", "ignore", "-m", "deploy.embedded.sample_run"]
        if code := _call([*runner, str(SEED), str(FIRST_DAY), *days], env | QUIET):
            print(f"the run failed; the logs lie in {home}/airflow/logs", file=sys.stderr)
            return code
        after = _release(store)
        for day in days[:DAYS]:
            print(flush=True)
            if code := _call(["usage-export", "statement", "--usage-date", day], env):
                return code
        print(flush=True)
        if code := _call(["usage-export", "billing", "statement"], env):
            return code
    changed = f"release {after}" if after != before else f"nothing changed: still release {after}"
    print(f'\n{changed}\nnext: make sql Q="{_hint()}"')
    return 0


def _airflow_folder(folder: Path) -> Path:
    """A folder of its own beside a running scheduler, which would run the same tasks a second time."""
    if not server.is_up(folder):
        return folder
    print("the Airflow of make up is left alone: its UI does not show these runs", flush=True)
    return folder / "beside"


@contextmanager
def _store(folder: Path, kept: Secrets) -> Iterator[ObjectStore]:
    """The store of `up` if it runs, else one for as long as this command."""
    up = server.running_store(folder, kept)
    if up is not None:
        yield up
        return
    with objectstore.running(folder / "store", kept.access_key, kept.secret_key) as store:
        yield store


def _call(command: list[str], env: dict[str, str]) -> int:
    """Run in the foreground; whatever ends this process ends the child too."""
    child = subprocess.Popen(command, env=env, cwd=ROOT, preexec_fn=process.die_with_parent)
    try:
        return child.wait()
    finally:
        child.kill()
        child.wait()


def _release(store: ObjectStore) -> int:
    client = store.client()
    try:
        return json.loads(
            client.get_object(Bucket="lake", Key="_release/current.json")["Body"].read()
        )["release"]
    except client.exceptions.NoSuchKey:
        return 0


def _hint() -> str:
    from etl.lookup import query_hint

    return query_hint()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("stopped: what is published is whole; run it again to go on", file=sys.stderr)
        sys.exit(130)
    except RuntimeError as error:
        sys.exit(f"error: {error}")
