"""The statement of a billing month as text for a terminal."""

from collections.abc import Iterable
from decimal import Decimal

from etl import shown

COSTS = ("list_cost", "billed_cost", "effective_cost", "moved")


def text(billing_period: str, release: int, rows: list[dict]) -> str:
    """`rows` are those of report/bill_month; amounts are shown to the cent, and kept exact in the tables."""
    head = f"Bills of {billing_period}, release {release}"
    lines = [head, "=" * len(head)]
    width = max(28, *(len(shown.value(row["service_name"])) for row in rows)) if rows else 0
    for provider in sorted({row["provider"] for row in rows}):
        mine = [row for row in rows if row["provider"] == provider]
        lines += ["", f"{provider:<{width + 8}}" + "".join(f"{name:>15}" for name in HEAD)]
        lines += [_line(row["service_name"], width, row["currency"], [row]) for row in mine]
        for currency in sorted({row["currency"] for row in mine}):
            same = [row for row in mine if row["currency"] == currency]
            lines.append(_line("together", width, currency, same))
    return "\n".join(lines if rows else [*lines, "", "No bill of this month is loaded."])


HEAD = ("list", "billed", "effective", "since last")


def _line(name: str, width: int, currency: str, rows: Iterable[dict]) -> str:
    sums = [sum((row[cost] for row in rows), Decimal(0)) for cost in COSTS]
    return f"  {shown.value(name):<{width}}  {currency:<4}" + "".join(
        f"{cost:>15,.2f}" for cost in sums
    )
