"""Parts of a self-contained HTML page: elements, tables, plots as inline SVG, one style sheet.

Whatever goes into an element is escaped, unless it came out of one. No script, no font, no image and no network:
the page's own policy allows nothing but its style sheet, which is named by its hash.
"""

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from etl import shown

STYLE = (Path(__file__).parent / "page.css").read_text()
POLICY = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'"
)
EMPTY_ELEMENTS = {"meta", "wbr"}
WIDTH, LABEL_WIDTH, NOTE_WIDTH, ROW_HEIGHT, BAR_HEIGHT = 340, 112, 54, 24, 14
COLUMN_HEIGHT, LABEL_LETTERS = 120, 15


class Html(str):
    """Text that is HTML already."""


@dataclass(frozen=True)
class Bar:
    """One value of a plot: its name, its size, and how the size is written beside it."""

    label: str
    value: Decimal
    note: str


def tag(name: str, /, *inside: object, **attributes: object) -> Html:
    """An element; None inside or as an attribute is left out, `class_` is class, `a_b` is a-b."""
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_text_of(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in EMPTY_ELEMENTS:
        return Html(f"<{name}{named}>")
    return Html(f"<{name}{named}>{joined(inside)}</{name}>")


def joined(parts: Iterable[object]) -> Html:
    return Html("".join(_escaped(part) for part in parts))


def _escaped(part: object) -> str:
    if part is None:
        return ""
    if isinstance(part, list | tuple):
        return joined(part)
    return part if isinstance(part, Html) else _text_of(part)


def _text_of(value: object) -> str:
    """Marks that would turn the direction of a page, or steer whatever it is copied into, are shown as escapes."""
    return html.escape(shown.lines(str(value)))


def named(text: object) -> Html:
    """A name that data chose: kept apart from the direction of the text around it; may break after a sign."""
    pieces = re.split(r"(?<=[_/.:=+-])(?=\w)", str(text))
    return tag("bdi", [(tag("wbr") if n else None, piece) for n, piece in enumerate(pieces)])


def document(title: str, *body: object) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', *body), lang='en')}\n"


def table(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[object]], texts: int = 1
) -> Html:
    """A table whose first `texts` columns are text; the others are numbers. The first names its row.
    One of more than four columns becomes a list on a narrow screen."""

    def cell(n: int, value: object) -> Html:
        kind = None if n < texts else "number"
        if n == 0:
            return tag("th", value, scope="row", class_=kind)
        return tag("td", value, class_=kind, data_label=columns[n])

    head = [
        tag("th", name, scope="col", class_=None if n < texts else "number")
        for n, name in enumerate(columns)
    ]
    made = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", head)),
        tag("tbody", [tag("tr", [cell(n, v) for n, v in enumerate(row)]) for row in rows]),
        class_="wide" if len(columns) > 4 else None,
    )
    return tag("div", made, class_="scroll")


def plot_with_table(title: object, plot: Html, numbers: Html) -> Html:
    pair = tag("div", plot, numbers, class_="pair")
    return tag("figure", tag("figcaption", title), pair)


def bars(says: str, rows: Sequence[Bar]) -> Html:
    """Horizontal bars from a common zero; a negative one goes to the left of it."""
    low = min([Decimal(0), *(row.value for row in rows)])
    high = max([Decimal(0), *(row.value for row in rows)])
    room = Decimal(WIDTH - LABEL_WIDTH - NOTE_WIDTH)
    scale = room / ((high - low) or 1)
    zero = LABEL_WIDTH - low * scale
    drawn = [_bar(n, row, zero, scale) for n, row in enumerate(rows)]
    height = ROW_HEIGHT * len(rows)
    axis = _line(zero, 0, zero, height)
    return _svg(says, height, [*drawn, axis])


def columns(says: str, rows: Sequence[Bar]) -> Html:
    """Vertical columns over their labels, for steps that have an order."""
    high = max([Decimal(1), *(row.value for row in rows)])
    step = Decimal(WIDTH) / len(rows)
    drawn: list[object] = []
    for n, row in enumerate(rows):
        middle, height = step * n + step / 2, row.value * COLUMN_HEIGHT / high
        top = COLUMN_HEIGHT + 18 - height
        drawn += [
            _rect(step * n + 4, top, step - 8, height, row),
            _text(middle, top - 5, row.note, "middle"),
            _text(middle, COLUMN_HEIGHT + 34, row.label, "middle"),
        ]
    axis = _line(0, COLUMN_HEIGHT + 18, WIDTH, COLUMN_HEIGHT + 18)
    return _svg(says, COLUMN_HEIGHT + 42, [*drawn, axis])


def short(value: Decimal | int) -> str:
    """Three digits of a number, for a plot; the table beside it holds the number itself."""
    number = Decimal(value)
    for power, unit in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(number) >= Decimal(10) ** power:
            return f"{_digits(number.scaleb(-power))}{unit}"
    return _digits(number)


def moment(text: str) -> str:
    """A time in RFC 3339 as people write it."""
    return text.replace("T", " ").replace("Z", " UTC")


def share(part: Decimal, whole: Decimal) -> str:
    """Part of a whole in percent; where that says nothing, the part itself in three digits."""
    if whole <= 0 or not 0 <= part <= whole:
        return short(part)
    return f"{100 * part / whole:.1f} %"


def exact(quantity: str) -> str:
    """A quantity in full, with its thousands apart and without the zeros that its scale adds."""
    whole, _, part = quantity.partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    part = part.rstrip("0")
    return f"{sign}{int(digits):,}" + (f".{part}" if part else "")


def _digits(number: Decimal) -> str:
    if abs(number) >= 100 or number == number.to_integral_value():
        return f"{number:.0f}"
    if abs(number) >= Decimal("0.1"):
        return f"{number:.{1 if abs(number) >= 10 else 2}f}"
    return f"{number:.0E}"


def _bar(n: int, row: Bar, zero: Decimal, scale: Decimal) -> list[Html]:
    top, length = ROW_HEIGHT * n + (ROW_HEIGHT - BAR_HEIGHT) // 2, abs(row.value) * scale
    left = zero if row.value >= 0 else zero - length
    long = len(row.label) > LABEL_LETTERS
    label = row.label[: LABEL_LETTERS - 1] + "…" if long else row.label
    return [
        _text(0, top + 11, label, "start"),
        _rect(left, top, length, BAR_HEIGHT, row),
        _text(WIDTH, top + 11, row.note, "end"),
    ]


def _svg(says: str, height: int, inside: Sequence[object]) -> Html:
    box = f"0 0 {WIDTH} {height}"
    size = {"viewBox": box, "width": WIDTH, "height": height}
    return tag("svg", tag("title", says), inside, role="img", aria_label=says, **size)


def _rect(x: Decimal, y: object, width: Decimal, height: object, row: Bar) -> Html:
    """A value that is not 0 is never narrower than a hair."""
    wide, high = _length(width, row), _length(height, row)
    kind = "bar" if row.value >= 0 else "bar below"
    says = tag("title", f"{row.label}: {row.note}")
    return tag("rect", says, x=_at(x), y=_at(y), width=wide, height=high, class_=kind)


def _line(x1: object, y1: object, x2: object, y2: object) -> Html:
    return tag("line", x1=_at(x1), y1=_at(y1), x2=_at(x2), y2=_at(y2), class_="axis")


def _text(x: object, y: object, text: str, anchor: str) -> Html:
    return tag("text", text, x=_at(x), y=_at(y), text_anchor=anchor)


def _length(value: object, row: Bar) -> str:
    return _at(max(Decimal(str(value)), Decimal(1) if row.value else Decimal(0)))


def _at(value: object) -> str:
    return f"{Decimal(str(value)):.1f}"
