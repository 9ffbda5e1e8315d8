"""sql/macros.sql, sql/billing_macros.sql: each word alone. A wrong value must be impossible; NULL says no."""

from datetime import datetime
from decimal import Decimal, localcontext
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import quantity, value


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-18T10:00:00Z", datetime(2026, 11, 18, 10)),
        ("2026-11-18 10:00:00Z", datetime(2026, 11, 18, 10)),
        ("2026-11-19T01:30:00+05:30", datetime(2026, 11, 18, 20)),
        ("2026-11-18T23:00:00-02:00", datetime(2026, 11, 19, 1)),
        ("2026-11-18T23:59:59.999999999Z", datetime(2026, 11, 18, 23, 59, 59, 999999)),
        ("2026-11-18T10:00:00.123456789+00:00", datetime(2026, 11, 18, 10, 0, 0, 123456)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29)),
    ],
)
def test_a_time_with_a_zone_becomes_utc_and_is_cut_to_microseconds(text, moment):
    assert value("utc_timestamp(?)", text) == moment


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "2026-11-18T10:00:00",
        "2026-11-18",
        "2026-11-18T10:00:00.1234567890Z",
        "2026-11-18T10:00:00.Z",
        "2026-12-31T23:59:60Z",
        "2026-02-30T10:00:00Z",
        "2026-11-18T10:00:00 UTC",
        "2026-11-18T10:00:00+0200",
        " 2026-11-18T10:00:00Z",
        "2026-11-18T10:00:00Z\n",
        "1763460000",
        "infinity",
    ],
)
def test_any_other_time_is_null_never_a_guess(text):
    assert value("utc_timestamp(?)", text) is None


@pytest.mark.parametrize("offset", ["+99:99", "-24:00", "+02:60"])
def test_an_impossible_offset_is_not_a_time(offset):
    assert value("utc_timestamp(?)", f"2026-11-18T10:00:00{offset}") is None


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-11-18 09:14:05", "Europe/Berlin", datetime(2026, 11, 18, 8, 14, 5)),
        ("2026-07-18T09:14:05.123456789", "Europe/Berlin", datetime(2026, 7, 18, 7, 14, 5, 123456)),
        ("2026-10-25 01:59:59", "Europe/Berlin", datetime(2026, 10, 24, 23, 59, 59)),
        ("2026-10-25 02:30:00", "Europe/Berlin", None),  # shown twice
        ("2026-10-25 03:00:00", "Europe/Berlin", datetime(2026, 10, 25, 2)),
        ("2026-03-29 02:30:00", "Europe/Berlin", None),  # never shown
        ("2026-04-05 01:45:00", "Australia/Lord_Howe", None),  # twice: half an hour
        ("2026-10-25T01:30:00", "Antarctica/Troll", None),  # twice: two hours
        ("2026-10-25T03:00:00", "Antarctica/Troll", datetime(2026, 10, 25, 3)),
        ("2021-03-13 22:30:00", "Antarctica/Casey", None),  # twice: three hours
        ("2011-12-30 10:00:00", "Pacific/Apia", None),  # never: a day that was left out
        ("2011-12-31 10:00:00", "Pacific/Apia", datetime(2011, 12, 30, 20)),
        ("2026-11-18 23:30:00", "Asia/Kolkata", datetime(2026, 11, 18, 18)),
        ("2026-02-30 10:00:00", "Europe/Berlin", None),
        ("2026-11-18T10:00:00Z", "Europe/Berlin", None),
        ("18.11.2026 10:00", "Europe/Berlin", None),
        (None, "Europe/Berlin", None),
    ],
)
def test_a_time_of_clocks_is_utc_where_they_show_it_once(text, zone, moment):
    assert value("local_timestamp(?, ?)", text, zone) == moment


def test_what_clocks_show_leads_back_to_the_moment():
    moment = 1792890000000000  # 2026-10-25T01:00:00Z, when Berlin's clocks go back to 02:00

    assert value("clocks_show(?, 'Europe/Berlin')", moment) == moment + 3_600_000_000
    assert value("clocks_show(?, 'Europe/Berlin')", moment - 1) == moment + 7_200_000_000 - 1
    assert value("moment_of(?, 'Europe/Berlin', ?)", moment, moment) == moment - 3_600_000_000
    assert value("moment_of(?, 'Europe/Berlin', ?)", moment, moment - 1) == moment - 7_200_000_000


def test_access_log_time_is_utc_also_with_another_offset():
    assert value("access_log_timestamp('17/Nov/2026:07:12:41 +0000')") == datetime(
        2026, 11, 17, 7, 12, 41
    )
    assert value("access_log_timestamp('01/Jan/2027:01:00:00 +0530')") == datetime(
        2026, 12, 31, 19, 30
    )


@pytest.mark.parametrize(
    "text",
    [
        None,
        "17/Nov/2026:07:12:41",
        "17/nov/2026:07:12:41 +0000",
        "17/Xyz/2026:07:12:41 +0000",
        "31/Feb/2026:07:12:41 +0000",
        "17/Nov/2026:07:12:41 +00:00",
        "[17/Nov/2026:07:12:41 +0000]",
    ],
)
def test_another_access_log_time_is_null(text):
    assert value("access_log_timestamp(?)", text) is None


def test_an_impossible_access_log_offset_is_not_a_time():
    assert value("access_log_timestamp('17/Nov/2026:07:12:41 +9999')") is None


@pytest.mark.parametrize(
    ("text", "places", "exact", "problem"),
    [
        ("1.123456789", 9, "1.123456789", None),
        ("1.1234567890", 9, "1.123456789", None),
        ("1.1234567891", 10, None, "quantity_too_precise"),
        ("1e-9", 9, "0.000000001", None),
        ("1e-10", 10, None, "quantity_too_precise"),
        ("10e-10", 9, "0.000000001", None),
        ("1.6488000000000005E-05", 21, None, "quantity_too_precise"),
        ("1.5E+1", 0, "15", None),
        ("-0.5", 1, "-0.5", None),
        ("89.0", 0, "89", None),
        ("9" * 20 + "." + "9" * 9, 9, "9" * 20 + "." + "9" * 9, None),
        ("1" + "0" * 20, -20, None, "quantity_too_large"),
        ("1" + "0" * 29, -29, None, "quantity_too_large"),
        ("1e29", -29, None, "quantity_too_large"),
        ("9e19", -19, "9e19", None),
        ("1e999", -999, None, "quantity_too_large"),
        ("NaN", 0, None, "quantity_not_a_number"),
        ("Infinity", 0, None, "quantity_not_a_number"),
        ("true", 0, None, "quantity_not_a_number"),
        ("1,5", 0, None, "quantity_not_a_number"),
        ("1.", 0, None, "quantity_not_a_number"),
        ("0x10", 0, None, "quantity_not_a_number"),
        ("1_000", 0, None, "quantity_not_a_number"),
        (" 1", 0, None, "quantity_not_a_number"),
        ("1\n", 0, None, "quantity_not_a_number"),
        ("", 0, None, "quantity_not_a_number"),
    ],
)
def test_a_quantity_is_exact_or_refused_with_the_reason(text, places, exact, problem):
    assert value("quantity_problem(?)", text) == problem
    assert value("exact_quantity(?)", text) == (exact and quantity(exact))
    if problem != "quantity_not_a_number":
        assert value("decimal_places(?)", text) == places


def test_a_number_is_plain_or_with_an_exponent_of_up_to_three_digits():
    assert [value("is_number(?)", text) for text in ("-1.5e+999", "1e1000", ".5", None)] == [
        *(True, False, False, None)
    ]


def test_a_short_number_fits_64_bits_with_nine_decimals():
    texts = ("0", "-1", "999999999.999999999", "1000000000", "1.0000000000", "1e3", "+1", "1.", "")
    assert [value("is_short_number(?)", text) for text in texts] == [True] * 3 + [False] * 6


@given(st.decimals(-(10**9) + 1, 10**9 - 1, places=9))
@settings(max_examples=50, deadline=None)
def test_a_short_number_comes_out_as_the_long_way_gives_it(number):
    text = f"{number:f}"
    assert value("is_short_number(?)", text)
    assert value("exact_quantity(?)", text) == value("exact_quantity(?)", f"{text}e0") == number


def test_no_quantity_is_a_reason_of_its_own():
    assert value("quantity_problem(NULL)") == "no_quantity"
    assert value("exact_quantity(NULL)") is None


@pytest.mark.parametrize("text", ["0e-20", "1000000000000000000000000000000e-3"])
def test_a_form_that_the_engine_cannot_read_exactly_is_refused_never_changed(text):
    assert value("exact_quantity(?)", text) is None
    assert value("quantity_problem(?)", text) is not None


NUMBER = st.from_regex(r"[+-]?[0-9]{1,40}(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)


@settings(max_examples=25, deadline=None)
@given(st.lists(NUMBER, min_size=1, max_size=40))
def test_no_number_ever_changes_and_every_refusal_has_a_reason(texts):
    found = value("list_transform(?::VARCHAR[], lambda t: exact_quantity(t)::VARCHAR)", texts)
    reasons = value("list_transform(?::VARCHAR[], lambda t: quantity_problem(t))", texts)

    for text, exact, problem in zip(texts, found, reasons, strict=True):
        assert (exact is None) == (problem is not None), text
        assert exact is None or Decimal(exact) == Decimal(text), text


def test_a_key_is_the_hash_of_stream_and_parts_joined_by_the_unit_separator():
    joined = "\x1f".join(["s", "//app/a", "e1"])

    assert value("key_of('s', ['//app/a', 'e1'])") == sha256(joined.encode()).hexdigest()


def test_parts_that_shift_over_their_border_give_another_key():
    assert value("key_of('s', ['ab', 'c']) <> key_of('s', ['a', 'bc'])")


@pytest.mark.parametrize("parts", [["a", None], ["a", ""], [None], ["a\x1fb", "c"], ["\x1f"]])
def test_a_part_that_is_missing_or_holds_the_separator_gives_no_key(parts):
    assert value("key_of('s', ?::VARCHAR[])", parts) is None


def test_the_key_hash_is_the_first_64_bits_of_the_key():
    assert value("key_hash('ffffffffffffffff' || repeat('0', 48))") == 2**64 - 1
    assert value("key_hash(NULL)") is None


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1.5", "1.5"),
        ("-0.0712345678", "-0.0712345678"),
        ("5e-06", "0.000005"),
        ("2.323760000E-9", "0.00000000232376"),
        ("99999999999999999", "99999999999999999"),
        ("1.2345678901234567e-05", "0.000012345678901235"),
        ("0.0000000000000000005", "0"),
        ("0.0000000000000000015", "0.000000000000000002"),
        ("-0.0000000000000000015", "-0.000000000000000002"),
        ("-1.00000000000000000150000", "-1.000000000000000002"),
        ("1e-40", "0"),
        ("1e30", None),
        ("100000000000000000", None),
        ("12345678901.1234567890123456789", None),
        ("NaN", None),
        ("1,5", None),
        ("", None),
    ],
)
def test_an_amount_is_exact_or_rounded_half_to_even_and_says_so(text, amount):
    found = value("long_amount(?)", text)

    assert found == (None if amount is None else Decimal(amount))
    if found is None:
        problem = (
            "amount_too_large" if text[:1].isdigit() and "," not in text else "amount_not_a_number"
        )
        assert value("amount_problem(?)", text) == problem
    else:
        with localcontext(prec=60):
            rest = value("amount_rest(?)", text) or 0
            assert found + rest == Decimal(text).quantize(Decimal("1e-28"))


@settings(max_examples=200, deadline=None)
@given(st.decimals(-(10**9), 10**9, places=None, allow_nan=False).filter(lambda d: abs(d) >= 1e-20))
def test_no_amount_loses_a_digit_that_the_rest_does_not_name(number):
    text = f"{number:.28f}"
    rounded, rest = value("long_amount(?)", text), value("amount_rest(?)", text)

    with localcontext(prec=60):
        assert rounded + (rest or 0) == Decimal(text)
        assert rounded == Decimal(text).quantize(Decimal("1e-18"))  # half to even is the default
    assert value("is_long_amount(?)", text) == (rest is not None)
    if rest is None:
        assert value("exact_amount(?)", text) == rounded
    assert value("rounded_amount(wide_amount(?))", text) == rounded
    if value("is_short_amount(?)", text):
        assert value("exact_amount(?)", text) == Decimal(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1.25", "1.25"),
        ("0.0000000000000000005", "0"),  # half to even, as an amount
        ("123456789012345678", "123456789012345678"),
        ("12345678901234567890.5", "12345678901234567890.5"),
        ("-99999999999999999999", "-99999999999999999999"),
        ("100000000000000000000", None),
        ("1,5", None),
        ("", None),
    ],
)
def test_what_is_counted_may_be_larger_than_what_is_paid(text, count):
    assert value("long_count(?)", text) == (count and Decimal(count))
    if count and abs(Decimal(count)) < 10**17:
        assert value("long_amount(?)", text) == Decimal(count)
    else:
        assert value("long_amount(?)", text) is None


HALF = Decimal("5e-19")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.decimals(-(10**9), 10**9, places=28),
            st.decimals(-(10**15), 10**15, places=18),
            st.integers(-3, 3).map(lambda n: n * HALF),
        ),
        max_size=4,
    )
)
def test_a_sum_of_amounts_is_rounded_once_and_half_to_even(numbers):
    texts = [f"{one:f}" for one in numbers]

    found = value("amount_sum(?::VARCHAR[])", texts)

    with localcontext(prec=60):
        total = sum(numbers, Decimal(0)).quantize(Decimal("1e-18"))
    assert found == (total if numbers else None)


@pytest.mark.parametrize(
    "texts",
    [["1", "much"], ["1e17"], ["9e16", "9e16"], ["1e-19", "10000000000.0000000000000000001"]],
)
def test_a_sum_that_would_not_be_exact_is_none(texts):
    assert value("amount_sum(?::VARCHAR[])", texts) is None


@pytest.mark.parametrize(
    ("amount", "wide", "found"),
    [("0", "0.5", "0"), ("1", "0.5", "2"), ("1", "-0.5", "0"), ("2", "-0.5", "2"), ("1", "2", "3")],
)
def test_what_lies_in_the_middle_is_rounded_by_the_sum(amount, wide, found):
    """In units of the eighteenth place."""
    unit = Decimal("1e-18")
    given = [f"{Decimal(one) * unit:f}" for one in (amount, wide)]

    added = value("added_amount(?::DECIMAL(38,18), ?::DECIMAL(38,28))", *given)

    assert added == Decimal(found) * unit


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2023-11-13T10:00Z", datetime(2023, 11, 13, 10)),
        ("2023-11-13T11:00:00.000Z", datetime(2023, 11, 13, 11)),
        ("2026-10-01 01:00:00+00:00", datetime(2026, 10, 1, 1)),
        ("2026-10-01T00:00:00+02:00", datetime(2026, 9, 30, 22)),
        ("2018-06-20 00:00:00", datetime(2018, 6, 20)),
        ("2026-10-01", datetime(2026, 10, 1)),
        ("9/3/2023", datetime(2023, 9, 3)),
        ("20261001T000000.000Z", datetime(2026, 10, 1)),
        ("2026-10-01 01:00:00 UTC", datetime(2026, 10, 1, 1)),
        ("2026-10-01 01:00:00.500000 UTC", datetime(2026, 10, 1, 1, 0, 0, 500000)),
        ("2026-10-01 UTC", None),
        ("31/12/2023", None),
        ("2026-13-01", None),
        ("1. 10. 2026", None),
        ("", None),
    ],
)
def test_the_times_of_bills(text, moment):
    assert value("billing_timestamp(?)", text) == moment


@pytest.mark.parametrize(
    ("text", "json"),
    [
        ('{"a":1}', '{"a":1}'),
        ("[]", "[]"),
        ('"k": "v","k2": "v2"', '{"k": "v","k2": "v2"}'),
        ("[{'name': 'x', 'full_name': None}]", '[{"name": "x", "full_name": null}]'),
        ("team=a", None),
        ('"a word"', None),
        ("7", None),
    ],
)
def test_json_as_bills_write_it(text, json):
    assert value("billing_json(?)", text) == json
    if text.startswith("[{'"):
        assert value("python_json(?)", text) == json


@pytest.mark.parametrize(
    ("price", "quantity", "product"),
    [
        ("0.1", "8", "0.8"),
        ("0.000000000001", "0.000001", "0.000000000000000001"),
        ("0.000016", "50000000.5", "800.000008"),
        ("9999999999.5", "-2.000000000001", "-19999999999.0099999999995"),
        ("1e10", "1", None),
        ("1e7", "1e7", None),
        (None, "1", None),
    ],
)
def test_a_price_times_a_quantity_is_a_decimal_or_nothing(price, quantity, product):
    found = value("amount_product(?::DECIMAL(38,18), ?::DECIMAL(38,18))", price, quantity)

    assert found == (None if product is None else Decimal(product))


@pytest.mark.parametrize(("rate", "amount"), [("1", "12345678901.5"), ("0.5", None), (None, None)])
def test_an_amount_is_converted_or_not_at_all(rate, amount):
    found = value("converted_amount(12345678901.5::DECIMAL(38,18), ?::DECIMAL(38,18))", rate)

    assert found == (amount and Decimal(amount))
    assert value("converted_amount(3::DECIMAL(38,18), 0.5::DECIMAL(38,18))") == Decimal("1.5")


@pytest.mark.parametrize(
    ("part", "whole", "ratio"),
    [
        ("0.9", "1", "0.9"),
        ("2", "3", "0.666666666666"),
        ("-1", "3", "-0.333333333333"),
        ("99999999", "0.0000000001", None),
        ("1", "0", None),
        ("1e8", "1", None),
        (None, "1", None),
    ],
)
def test_a_ratio_of_amounts_is_a_decimal_of_twelve_places_or_nothing(part, whole, ratio):
    found = value("amount_ratio(?::DECIMAL(38,18), ?::DECIMAL(38,18))", part, whole)

    assert found == (None if ratio is None else Decimal(ratio))


amounts = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places),
    st.integers(1 - 10**20, 10**20 - 1),
    st.integers(0, 18),
)


@settings(max_examples=100, deadline=None)
@given(
    price=amounts,
    quantity=amounts,
    off=st.sampled_from(["0", "0.9", "1.1", "-0.9", "-1.1", "5", "1e30"]),
)
def test_a_cost_is_price_x_quantity_by_every_digit_of_the_product(price, quantity, off):
    with localcontext(prec=120):
        product = price * quantity
        tolerance = Decimal("1e-9") * max(Decimal(1), abs(product))
        cost = round(product + Decimal(off) * tolerance, 18)
        wanted = abs(cost - product) <= Decimal("1e-9") * max(Decimal(1), abs(cost))
        if abs(cost) > Decimal("99e18"):
            cost, wanted = Decimal(7), False
    asked = "is_product(?::DECIMAL(38,18), ?::DECIMAL(38,18), ?::DECIMAL(38,18))"

    assert value(asked, f"{cost:f}", f"{price:f}", f"{quantity:f}") is wanted
    assert value(asked, f"{cost:f}", None, f"{quantity:f}") is None


@pytest.mark.parametrize(
    ("amount", "kept"), [("0.0000000015", "2"), ("-3.000000001", "-3000000001")]
)
def test_nine_places_of_an_amount_are_rounded(amount, kept):
    assert value("nine_places(?::DECIMAL(38,18))", amount) == Decimal(kept).scaleb(-9)


@pytest.mark.parametrize(
    ("difference", "cost", "small"),
    [
        ("0.000000001", "0.5", True),
        ("0.000000001000000001", "0.5", False),
        ("-0.000000002", "2", True),
        ("0.000000002000000001", "-2", False),
        (None, "2", None),
    ],
)
def test_a_difference_is_small_to_nine_digits_or_nine_places(difference, cost, small):
    asked = "is_small_beside(?::DECIMAL(38,18), ?::DECIMAL(38,18))"

    assert value(asked, difference, cost) is small


@pytest.mark.parametrize(
    ("labels", "tags"),
    [
        ('[{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]', '{"x/a":"1"}'),
        ('[{"key": "b"}]', '{"x/b":""}'),
        ("[]", None),
        (None, None),
    ],
)
def test_labels_become_an_object(labels, tags):
    assert value("pairs_object(label_pairs(?, 'x/'))", labels) == tags


@pytest.mark.parametrize(
    ("text", "left", "other"),
    [
        ('{"a": 1, "b c": 2}', '{"a":1}', '{"a":1}'),
        ('{"B_C": 2}', "{}", "{}"),
        ('{"a": {"bc": 2}}', '{"a":{"bc":2}}', None),
        (r'{"\u0062c": 2, "a": "1"}', '{"a":"1"}', '{"a":"1"}'),
        ('[{"key": "b:c"}, {"key": "a"}, 1]', '[{"key":"a"},1]', '[{"key":"a"},1]'),
        ('{"a": 1}', '{"a": 1}', '{"a": 1}'),
        ("of a bc", None, "of a bc"),
        (r'"C:\users"', None, r'"C:\users"'),
        (None, None, None),
    ],
)
def test_keys_that_match_leave_json_and_nothing_else(text, left, other):
    pattern = "(?i)b[^a-z0-9]*c"

    if left or text is None:
        assert value("without_keys(?, ?)", text, pattern) == left
    assert value("without_people(?, ?)", text, pattern) == other
