"""The command usage-export: the same stages that the DAGs run, from a shell.

Exit 0: done. Exit 1: it could not be done, or not for every object; the message says what, where and what
to do next.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from etl import shown
from etl.billing import cli
from etl.cli_dates import day
from etl.errors import ContractError, SettingError, UsageError
from etl.shown import many


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        code = options.command(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError as error:
        shown.end_unheard(error)
        return 1
    except KeyboardInterrupt:
        print(
            "usage-export: stopped: what is published is whole; run it again to go on",
            file=sys.stderr,
        )
        return 130
    except UsageError as error:
        from etl.privacy import mask

        print(f"usage-export: {type(error).__name__}: {mask(str(error))}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="usage-export", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="command")

    ingest = _command(commands, "ingest", _ingest, "read what landed, publish its arrivals")
    ingest.add_argument("stream")
    ingest.add_argument("--landed", type=day, required=True, help="landed date, YYYY-MM-DD")
    ingest.add_argument("--to", type=day, help="last landed date of a range")

    build = _command(
        commands, "build", _build, "deduplicate, aggregate, validate and publish a usage date"
    )
    build.add_argument("--usage-date", type=day, required=True)
    build.add_argument("--stream", help="only this stream")

    _add_replay(commands)

    statement = _command(commands, "statement", _statement, "what is known of a usage date")
    statement.add_argument("--usage-date", type=day, help="default: the newest")
    statement.add_argument("--release", type=int, help="as it was in an older release, by number")
    form = statement.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true")
    form.add_argument("--html", type=Path, metavar="FILE", help="write it as a page with plots")

    query = _command(
        commands, "sql", _sql, "query a release; without a query, open a DuckDB shell on it"
    )
    query.add_argument("query", nargs="?")
    query.add_argument("--release", type=int, help="an older release by its number")
    query.add_argument("--format", choices=("table", "csv", "json"), default="table")

    sweep = _command(commands, "sweep", _sweep, "delete what runs left behind and no release names")
    sweep.add_argument("--dry-run", action="store_true", help="list it, delete nothing")

    cli.add(commands)
    contracts = _command(commands, "contracts", _contracts, "check every contract and its SQL")
    contracts.add_argument("action", choices=("check",))
    _command(commands, "status", _status, "the current release, and what waits to be read or built")
    return parser


def _add_replay(commands: argparse._SubParsersAction) -> None:
    replay = _command(
        commands, "replay", _replay, "read landed dates again and publish what differs"
    )
    replay.add_argument("stream")
    replay.add_argument("--from", dest="first", type=day, required=True, help="first landed date")
    replay.add_argument("--to", dest="last", type=day, required=True, help="last landed date")
    replay.add_argument("--reason", required=True, help="why; the release and the ledger keep it")
    replay.add_argument("--dry-run", action="store_true", help="list what would change, no more")


def _command(
    commands: argparse._SubParsersAction,
    name: str,
    run: Callable[[argparse.Namespace], int],
    says: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=says, description=says)
    parser.set_defaults(command=run)
    return parser


def _ingest(options: argparse.Namespace) -> int:
    from etl import lookup, stages
    from etl import unread as missing
    from etl.privacy import mask
    from etl.statement import pages

    lookup.known(options.stream)
    last = options.to or options.landed
    if last < options.landed:
        raise SettingError(f"--to {last} lies before --landed {options.landed}")
    touched: set[str] = set()
    unread: dict[str, dict] = {}
    refused = 0
    for n in range((last - options.landed).days + 1):
        landed = options.landed + timedelta(days=n)
        run = f"cli-ingest-{options.stream}-{landed}"
        done = stages.ingest(options.stream, landed, run)
        print(f"{options.stream} landed {landed}: {shown.outcome(done)}", flush=True)
        if not done["landed_dates"]:
            print(f"  nothing new under {lookup.path(options.stream)}", flush=True)
        touched |= set(done["usage_dates"])
        refused += done.get("rows_quarantined", 0)
        for one in sorted({str(landed), *done["landed_dates"]}):
            pages.write_statement(date.fromisoformat(one))
        unread |= {one["key"]: one for one in stages.unread(options.stream, run)}
    for usage_date in sorted(touched):
        print(f"next: usage-export build --usage-date {usage_date} --stream {options.stream}")
    if refused:
        asked = "SELECT landed_date, reason, count(*) FROM quarantine"
        print(f"next: usage-export sql \"{asked} WHERE stream = '{options.stream}' GROUP BY ALL\"")
    left = lookup.unread(options.stream) if unread else {}  # a later day may have read it
    unread = {key: one for key, one in unread.items() if key in left}
    for line in missing.told(unread.values()):
        print(shown.lines(mask(line)), file=sys.stderr)
    return 1 if unread else 0


def _build(options: argparse.Namespace) -> int:
    from etl import lookup, stages
    from etl.statement import pages

    due = lookup.build_streams(options.usage_date)
    if options.stream:
        lookup.known(options.stream)
        due = [options.stream]
    for stream in due:
        done = stages.build(options.usage_date, stream, f"cli-build-{options.usage_date}")
        print(f"{stream} {options.usage_date}: {shown.outcome(done)}", flush=True)
    if not due:
        print(f"no stream of a contract has rows on {options.usage_date}: nothing to build")
    else:
        print(f"statement: {pages.write_statement(options.usage_date)['page']}")
    return 0


def _replay(options: argparse.Namespace) -> int:
    from etl.replay import replay, text

    def say(step: str) -> None:
        print(step, file=sys.stderr, flush=True)

    asked = (options.stream, options.first, options.last, options.reason, options.dry_run)
    mode = "dry" if options.dry_run else "real"  # a dry one must never meet the plan of a real one
    run = f"cli-replay-{mode}-{options.stream}-{options.first}-{options.last}"
    print(text.text(replay.replay(*asked, run, say)))
    return 0


def _statement(options: argparse.Namespace) -> int:
    from etl import lookup, shell

    of = options.usage_date or lookup.newest_usage_date(options.release), options.release
    if options.json:
        print(json.dumps(lookup.statement(*of), indent=2))
    elif options.html:
        shell.save(options.html, lookup.statement_html(*of))
    else:
        print(lookup.statement_text(*of))
    return 0


def _sql(options: argparse.Namespace) -> int:
    from etl import catalog, lookup, shell

    found, lake = lookup.open_release(options.release)
    if options.query is None:
        return shell.shell(catalog.store_setup() + catalog.views(found, lake))
    import duckdb

    try:
        with catalog.open_release(found, lake) as connection:
            shell.show(connection.sql(options.query), options.format)
    except duckdb.Error as error:
        raise SettingError(f"the query failed: {error}") from error
    return 0


def _sweep(options: argparse.Namespace) -> int:
    from etl import stages

    done = stages.sweep("cli-sweep", options.dry_run)
    for key in done["work"] + done["staged"] if options.dry_run else ():
        print(key)
    verb = "would delete" if options.dry_run else "deleted"
    print(
        f"{verb} {many(done['objects'], 'object')}, {many(done['bytes'], 'byte')}: {len(done['work'])} of work "
        f"areas, {len(done['staged'])} of staged files that no release names"
    )
    return 0


def _contracts(_: argparse.Namespace) -> int:
    from etl import lookup

    problems = 0
    for stream, check in lookup.contract_checks():
        try:
            print(f"{stream} {check(stream)}: good")
            for change in lookup.breaking_changes(stream):
                print(f"  {change}")
        except ContractError as error:
            problems += 1
            print(f"{stream}: {error}", file=sys.stderr)
    return 1 if problems else 0


def _status(_: argparse.Namespace) -> int:
    from etl import lookup, unread

    found = lookup.status(datetime.now(UTC).date())
    print(f"release {found['release']}, made {found['created_at'] or 'never'}")
    print(f"usage dates waiting to be built: {', '.join(found['pending']) or 'none'}")
    for stream, keys in found["backlog"].items():
        known = found["unread"][stream], found["hints"][stream]
        print("\n".join(unread.waiting(stream, keys, *known)))
    if found["unmatched"]:
        print(f"{len(found['unmatched'])} landed objects that no contract's path matches:")
        print("".join(f"  {shown.value(key)}\n" for key in found["unmatched"][:10]), end="")
    for stream, why in found["wrong"].items():
        print(f"{stream}: {why}", file=sys.stderr)
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
