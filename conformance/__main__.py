"""make conformance: charges of every provider, as FOCUS 1.2, before the official validator.

Prints a line a bill, then every failure that conformance/allowed.csv does not excuse, then lines of that list
that excuse nothing any more. Exit 1: there is one of either. Where the validator cannot be had (it needs Python
3.12 and an index) nothing is judged: it says so and ends with 0, or with 1 under --required.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from conformance import bills, validator, verdict
from conformance.export import export
from deploy.embedded import objectstore


def main() -> int:
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    lacks = validator.install(options.folder / "venv", options.python)
    if lacks:
        print(f"conformance: skipped: {lacks}", file=sys.stderr)
        print(
            'another Python: make conformance ARGS="--python /path/to/python3.12"', file=sys.stderr
        )
        return 1 if options.required else 0
    listed = verdict.allowed()
    found: dict[str, tuple[verdict.Failure, ...]] = {}
    problems = []
    with (
        TemporaryDirectory() as folder,
        objectstore.running(Path(folder), "conformance", "conformance-secret-key") as store,
    ):
        for bill in bills.bills():
            if options.bill and bill.name not in options.bill:
                continue
            data = options.folder.absolute() / f"{bill.name}.parquet"
            rows = export(store, bill, data)
            outcome = verdict.parse(validator.validate(options.folder.absolute(), data))
            found[bill.name] = outcome.failures
            bare = verdict.left(bill.name, outcome.failures, listed)
            problems += [f"{bill.name}: {one.check}: {one.says}" for one in bare]
            print(
                f"{bill.name}: {rows:,} charges, {outcome.checks} checks, {outcome.skipped} skipped, "
                f"{len(outcome.failures)} failed, {len(bare)} of them not allowed",
                flush=True,
            )
    if not options.bill and bills.SAMPLES.is_dir():
        problems += [
            f"allowed.csv: {one.check} fails on no bill of {one.bills} any more"
            for one in verdict.stale(found, listed)
        ]
    print(*problems, sep="\n")
    return 1 if problems else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--folder", type=Path, default=Path(".conformance"), help="kept between runs"
    )
    parser.add_argument("--bill", action="append", help="only this one; default: each")
    parser.add_argument("--python", default="3.12", help="of the validator: version or path")
    parser.add_argument("--required", action="store_true", help="fail where it cannot be run")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
