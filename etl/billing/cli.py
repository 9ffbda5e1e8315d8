"""usage-export billing …: deliveries of bills, from a shell."""

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

from etl import cli_dates
from etl.errors import SettingError
from etl.shown import lines, many, value
from etl.statement.page import exact
from etl.tally import DIGITS

if TYPE_CHECKING:
    from etl.billing.delivery import Delivery

Command = Callable[[argparse.Namespace], int]
OTHER_COSTS = ("effective", "list", "contracted")


def add(commands: argparse._SubParsersAction) -> None:
    """Add `billing` and its own commands."""
    says = "read what providers billed, and what became of each delivery"
    billing = commands.add_parser("billing", help=says, description=says)
    own = billing.add_subparsers(required=True, metavar="command")

    ingest = _command(own, "ingest", _ingest, "load the newest complete deliveries of a contract")
    ingest.add_argument("stream", metavar="contract")
    ingest.add_argument(
        "--period",
        type=cli_dates.month,
        help="only deliveries of this month, YYYY-MM, and load them again",
    )

    listed = _command(own, "deliveries", _deliveries, "every delivery and what became of it")
    listed.add_argument("stream", metavar="contract", nargs="?", help="default: all")

    told = _command(own, "statement", _statement, "a month of every provider, by service")
    told.add_argument("--period", type=cli_dates.month, help="default: the newest one with a bill")
    told.add_argument("--release", type=int, help="as it was in an older release, by its number")

    diff = _command(own, "diff", _diff, "what moved in a month between two releases")
    diff.add_argument("provider")
    diff.add_argument("period", type=cli_dates.month, help="YYYY-MM")
    diff.add_argument("--from", dest="first", type=int, required=True, help="release")
    diff.add_argument("--to", dest="last", type=int, help="release, default: the current one")


def _command(
    commands: argparse._SubParsersAction, name: str, run: Command, says: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=says, description=says)
    parser.set_defaults(command=run)
    return parser


def _ingest(options: argparse.Namespace) -> int:
    from etl.billing import stages

    def say(step: str) -> None:
        print(step, file=sys.stderr, flush=True)

    done = stages.ingest(options.stream, f"cli-billing-{options.stream}", options.period, say)
    for delivery, outcome in done["deliveries"].items():
        why = done["details"].get(delivery)
        print(f"{options.stream}: {delivery}: {outcome}{f' ({why})' if why else ''}")
    for period, sums in done["sums"].items():
        listed = ", ".join(f"{name} {exact(str(value))}" for name, value in sums.items())
        print(f"{options.stream} {period}: {listed}")
    if not done["deliveries"]:
        _nothing_new(options.stream, options.period)
    print(f"release {done['release']}")
    if done["refused"]:
        raise SettingError("\n".join(done["refused"]))
    return 0


def _nothing_new(stream: str, period: str | None) -> None:
    """With what is known of the month that was asked for, else with the deliveries that are waited for."""
    from etl.billing import lookup
    from etl.billing.delivery import SEEN

    print(f"{stream}: nothing new under {lookup.path(stream)}")
    known = lookup.deliveries(stream)
    for one in known:
        is_waited_for = one.state == SEEN and one.reason != "vanished"
        if one.billing_period == period or (period is None and is_waited_for):
            print(f"  {_delivery(stream, one)}")
    months = sorted({one.billing_period for one in known})
    if months and period and period not in months:
        came_in = (
            ": these add rows, and are of the month in which they came in, whatever months they bill"
            if lookup.appends(stream)
            else ""
        )
        there = f"there are deliveries of {', '.join(months)}"
        print(f"  no delivery of {period} is known, {there}{came_in}")


def _deliveries(options: argparse.Namespace) -> int:
    from etl.billing import lookup

    streams = [options.stream] if options.stream else lookup.streams()
    found = [(stream, one) for stream in streams for one in lookup.deliveries(stream)]
    told: dict[str, str] = {}  # once a contract, as long as they stay the same
    for stream, one in found:
        print(_delivery(stream, one))
        if one.unknown_columns and one.unknown_columns != told.get(stream):
            told[stream] = one.unknown_columns
            names = ",".join(map(value, one.unknown_columns.split(",")))
            print(f"  columns that the contract does not name: {names}")
    if not found:
        of = f" of {options.stream}" if options.stream else ""
        said = options.stream or "CONTRACT"
        print(f"no delivery{of} was seen yet: usage-export billing ingest {said}")
    return 0


def _delivery(stream: str, one: "Delivery") -> str:
    known = ": ".join(one for one in (one.reason, one.detail) if one)
    why = f" ({known})" if known else ""
    rows = "" if one.rows is None else f", {many(one.rows, 'row')}"
    return lines(
        f"{stream} {one.billing_period} {one.submitted_at:%Y-%m-%d %H:%M} {one.delivery_id}: "
        f"{one.state}{why}{rows}, {many(one.objects, 'object')}, {many(one.bytes, 'byte')}"
    )


def _statement(options: argparse.Namespace) -> int:
    from etl.billing import lookup

    of = options.release
    print(lookup.statement(options.period or lookup.newest_period(of), of))
    return 0


def _diff(options: argparse.Namespace) -> int:
    from etl.billing import lookup

    if options.last is not None and options.last < options.first:
        raise SettingError(f"--to {options.last} lies before --from {options.first}")
    moved = lookup.diff(options.provider, options.period, options.first, options.last)
    for row in moved:
        print(
            f"{row['charge_date']} {value(row['billing_account_id'])} {value(row['sub_account_id'] or '-')} "
            f"{value(row['service_name'])}: {_amount(row['old_billed_cost'])} -> "
            f"{_amount(row['new_billed_cost'])} {row['billing_currency']} "
            f"({_moved(row['billed_difference'])}), {_lines(row)}{_others(row)}"
        )
    by_service = _sums(moved, "billing_currency", "service_name")
    for (currency, service), sums in sorted(by_service.items(), key=_largest_first):
        print(f"  {value(service)}: {_moved(sums['billed_difference'])} {currency}{_others(sums)}")
    for (currency,), sums in sorted(_sums(moved, "billing_currency").items()):
        print(f"together {_moved(sums['billed_difference'])} {currency}")
    if not moved:
        print(f"{options.provider} {options.period}: nothing moved")
    return 0


def _sums(moved: list[dict], *by: str) -> dict[tuple[str, ...], dict[str, Decimal]]:
    """What each of the four costs moved by, over the rows that are equal in these columns."""
    found: dict[tuple[str, ...], dict[str, Decimal]] = {}
    with localcontext(prec=DIGITS):
        for row in moved:
            sums = found.setdefault(tuple(row[name] for name in by), defaultdict(Decimal))
            for name in ("billed", *OTHER_COSTS):
                sums[f"{name}_difference"] += row[f"{name}_difference"]
    return found


def _largest_first(sums: tuple[tuple[str, ...], dict[str, Decimal]]) -> tuple[str, Decimal, str]:
    (currency, service), moved = sums
    return currency, -moved["billed_difference"].copy_abs(), service


def _others(row: dict) -> str:
    """Costs that moved otherwise than the billed one."""
    moved = {name: row[f"{name}_difference"] for name in OTHER_COSTS}
    other = {name: by for name, by in moved.items() if by not in (0, row["billed_difference"])}
    return "".join(f", {name} {_moved(by)}" for name, by in other.items())


def _moved(amount: Decimal) -> str:
    return f"{'+' if amount >= 0 else ''}{_amount(amount)}"


def _amount(amount: Decimal) -> str:
    return exact(f"{amount:f}")


def _lines(row: dict) -> str:
    """Of a bill whose lines have no key, none counts as changed: see sql/charge/charge_restatement.sql."""
    added, removed, changed = (row[f"rows_{what}"] for what in ("added", "removed", "changed"))
    if not (added or removed or changed):
        return "as many lines as before"
    return f"{many(added, 'line')} added, {removed:,} removed, {changed:,} changed"
