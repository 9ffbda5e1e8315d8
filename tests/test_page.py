"""Parts of a page: everything is escaped, plots are in proportion, numbers stay exact."""

import re
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from etl.statement import page
from etl.statement.page import Bar

HOSTILE = '<script>alert("1")</script>&\'" onload=x'


class Parsed(HTMLParser):
    """Elements, their attributes and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


def bar(value: object, label: str = "a") -> Bar:
    return Bar(label, Decimal(str(value)), str(value))


def widths(plot: str) -> list[tuple[float, float]]:
    return [(float(one["x"]), float(one["width"])) for one in Parsed(plot).all("rect")]


def test_text_and_attributes_are_escaped_once():
    made = page.tag("p", HOSTILE, page.named(HOSTILE), title=HOSTILE)
    found = Parsed(made)

    assert [name for name, _ in found.elements] == ["p", "bdi", "wbr", "wbr"]
    assert page.named("usage_event") == "<bdi>usage_<wbr>event</bdi>"
    assert found.elements[0][1] == {"title": HOSTILE}
    assert "".join(found.text) == HOSTILE * 2


def test_a_page_allows_nothing_but_its_own_style():
    made = page.document(HOSTILE, page.tag("p", "x"))
    found = Parsed(made)

    (policy,) = (m["content"] for m in found.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert found.all("html") == [{"lang": "en"}]
    assert found.all("script") == found.all("link") == found.all("img") == []
    assert not re.search(r"url\(|@import|https?://", made)
    assert not any("style" in attributes for _, attributes in found.elements)


def test_bars_are_in_proportion_from_a_common_zero():
    (left, wide), (_, half), (_, none) = widths(page.bars("x", [bar(10), bar(5), bar(0)]))

    assert (left, none) == (page.LABEL_WIDTH, 0)
    assert half == pytest.approx(wide / 2, abs=0.1)


def test_a_negative_bar_goes_left_and_what_is_small_can_be_seen():
    (up, wide), (down, narrow), (_, hair) = widths(
        page.bars("x", [bar(30), bar(-10), bar("0.000000001")])
    )

    assert down + narrow == pytest.approx(up, abs=0.1)
    assert narrow == pytest.approx(wide / 3, abs=0.1)
    assert hair == 1


@pytest.mark.parametrize("values", [[0], [0, 0], [-5], [Decimal("9" * 29)], [Decimal("1e-9")]])
def test_a_plot_stays_within_its_frame_whatever_it_shows(values):
    rows = [bar(value, "a-very-long-tenant-id-indeed") for value in values]

    for x, width in widths(page.bars("x", rows)):
        assert x >= page.LABEL_WIDTH and x + width <= page.WIDTH - page.NOTE_WIDTH + 1


def test_columns_stand_on_one_line():
    rows = Parsed(page.columns("x", [bar(4), bar(1), bar(0)])).all("rect")
    feet = {float(one["y"]) + float(one["height"]) for one in rows}

    assert len(feet) == 1
    assert [float(one["height"]) for one in rows] == [page.COLUMN_HEIGHT, page.COLUMN_HEIGHT / 4, 0]


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        ("697187.000000000", "697,187"),
        ("-1234.500000000", "-1,234.5"),
        ("0.000000001", "0.000000001"),
        ("-0.500000000", "-0.5"),
        (
            "99999999999999999999999999999.999999999",
            "99,999,999,999,999,999,999,999,999,999.999999999",
        ),
        ("0.000000000", "0"),
    ],
)
def test_a_quantity_is_written_exactly(quantity, text):
    assert page.exact(quantity) == text
    assert Decimal(text.replace(",", "")) == Decimal(quantity)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *[(0, "0"), (7, "7"), (999, "999"), (1000, "1k"), (697187, "697k"), (-7533, "-7.53k")],
        *[(Decimal("28.5"), "28.5"), (Decimal("0.25"), "0.25"), (Decimal("1e-9"), "1E-9")],
        *[(3654936, "3.65M"), (10**15, "1000T")],
    ],
)
def test_a_plot_shows_three_digits(number, text):
    assert page.short(Decimal(number)) == text


def test_a_share_is_told_only_where_it_means_something():
    assert page.share(Decimal(1), Decimal(3)) == "33.3 %"
    assert page.share(Decimal(-12), Decimal(3)) == "-12"
    assert page.share(Decimal(5), Decimal(3)) == "5"
    assert page.share(Decimal(0), Decimal(0)) == "0"


def test_a_table_names_its_rows_and_columns():
    found = Parsed(page.table("of", ["tenant", "n"], [["a", "1"]]))

    assert [one["scope"] for one in found.all("th")] == ["col", "col", "row"]
    assert found.all("caption")
