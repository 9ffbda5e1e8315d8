-- Words of the billing road; made once for each engine, after macros.sql.

-- Amounts of a bill. Most fit 64 bits; a cast to 128 costs fifty times as much.
CREATE OR REPLACE MACRO is_short_amount(text) AS
regexp_full_match(text, '-?\d{1,6}(\.\d{1,12})?');

CREATE OR REPLACE MACRO short_amount(text) AS
try_cast(text AS DECIMAL(18,12))::DECIMAL(38,18);

-- Text -> decimal(38,28) below 10^10: holds the digits of a provider's double, and rounds what lies beyond 28 places.
CREATE OR REPLACE MACRO wide_amount(text) AS
CASE WHEN is_short_amount(text) THEN try_cast(text AS DECIMAL(18,12))::DECIMAL(38,28)
    WHEN is_number(text) THEN try_cast(text AS DECIMAL(38,28)) END;

-- decimal(38,28) -> decimal(38,18), half to even. The list of one only names the text, which is used often.
CREATE OR REPLACE MACRO rounded_amount(wide) AS
list_transform([wide::VARCHAR], lambda text: left(text, -10)::DECIMAL(38,18)
    + CASE WHEN right(text, 10) > '5000000000'
        OR (right(text, 10) = '5000000000' AND left(text, -10)[-1] IN ('1', '3', '5', '7', '9'))
    THEN CASE WHEN text[1] = '-' THEN -1 ELSE 1 END ELSE 0 END * 0.000000000000000001::DECIMAL(38,18)
)[1]::DECIMAL(38,18);

-- Text of at most 18 decimal places -> decimal(38,18) below 10^17, exactly or not at all.
CREATE OR REPLACE MACRO exact_amount(text) AS
CASE WHEN is_short_amount(text) THEN short_amount(text)
    WHEN is_number(text) AND abs(try_cast(text AS DECIMAL(38,18))) < 100000000000000000::DECIMAL(38,18)
    THEN try_cast(text AS DECIMAL(38,18)) END;

-- Whether exact_amount would round.
CREATE OR REPLACE MACRO is_long_amount(text) AS
CASE WHEN length(text) > 19 OR contains(text, 'e') OR contains(text, 'E')
THEN coalesce(decimal_places(text) > 18, false) ELSE false END;

-- Text of any number of places -> decimal(38,18): what has more than 18 is rounded half to even, and below 10^10.
CREATE OR REPLACE MACRO long_amount(text) AS
CASE WHEN is_long_amount(text) THEN rounded_amount(wide_amount(text)) ELSE exact_amount(text) END;

-- The same of what is counted and not paid: below 10^20, for Google counts what is stored in byte-seconds.
CREATE OR REPLACE MACRO long_count(text) AS
coalesce(long_amount(text), CASE WHEN is_number(text) THEN try_cast(text AS DECIMAL(38,18)) END);

-- Amounts as texts, none of them NULL -> their sum below 10^17, rounded half to even once: those of more than 18 places
-- are summed apart, with 28, below 10^10. NULL where that is not exact, or nothing is to sum.
CREATE OR REPLACE MACRO amount_sum(texts) AS
CASE WHEN len(list_filter(texts, lambda text: long_amount(text) IS NULL)) = 0 THEN list_filter([
    CASE WHEN len(list_filter(texts, lambda text: is_long_amount(text))) = 0
    THEN TRY(list_sum(list_transform(texts, lambda text: exact_amount(text))))
    ELSE TRY(added_amount(
        list_sum(list_transform(texts, lambda text: CASE WHEN is_long_amount(text) THEN 0 ELSE exact_amount(text) END)),
        list_sum(list_transform(list_filter(texts, lambda text: is_long_amount(text)), lambda text: wide_amount(text)))
    )) END
], lambda total: abs(total) < 100000000000000000::DECIMAL(38,18))[1] END;

-- decimal(38,18) + decimal(38,28) -> decimal(38,18), half to even: where the second one lies in the middle, the sum tells.
CREATE OR REPLACE MACRO added_amount(amount, wide) AS
list_transform([rounded_amount(wide)], lambda near: amount + near + CASE
    WHEN abs(wide - near::DECIMAL(38,28)) = 0.0000000000000000005::DECIMAL(38,28)
        AND right((amount + near)::VARCHAR, 1) IN ('1', '3', '5', '7', '9')
    THEN CASE WHEN wide > near::DECIMAL(38,28) THEN 1 ELSE -1 END ELSE 0
    END * 0.000000000000000001::DECIMAL(38,18))[1]::DECIMAL(38,18);

-- Why a text gave no amount.
CREATE OR REPLACE MACRO amount_problem(text) AS
CASE WHEN is_number(text) THEN 'amount_too_large' ELSE 'amount_not_a_number' END;

-- What long_amount rounded away: the text has this much more.
CREATE OR REPLACE MACRO amount_rest(text) AS
CASE WHEN is_long_amount(text) THEN wide_amount(text) - rounded_amount(wide_amount(text))::DECIMAL(38,28) END;

-- The times that providers write in bills, all of them UTC: ISO 8601 with or without zone, seconds or time of
-- day, its basic form, month/day/year, and as BigQuery extracts them: 2026-10-01 00:00:00 UTC.
CREATE OR REPLACE MACRO billing_timestamp(text) AS
CASE WHEN regexp_full_match(text, '\d{4}-\d{2}-\d{2}[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z| UTC)?')
    OR regexp_full_match(text, '\d{4}-\d{2}-\d{2}') THEN try_cast(replace(text, ' UTC', '') AS TIMESTAMP)
    WHEN regexp_full_match(text, '\d{4}-\d{2}-\d{2}[T ]([01]\d|2[0-3]):[0-5]\dZ?')
    THEN try_cast(rtrim(text, 'Z') || ':00' AS TIMESTAMP)
    WHEN regexp_full_match(text, '\d{1,2}/\d{1,2}/\d{4}') THEN try_strptime(text, '%m/%d/%Y')
    WHEN regexp_full_match(text, '\d{8}T\d{6}(\.\d{1,6})?Z') THEN try_strptime(text[1:15], '%Y%m%dT%H%M%S')
    ELSE utc_timestamp(text) END;

-- Python's notation of lists and dictionaries as JSON; texts that hold quotes do not become valid.
CREATE OR REPLACE MACRO python_json(text) AS
replace(replace(replace(replace(text, '''', '"'), ': None', ': null'), ': True', ': true'), ': False', ': false');

-- JSON as providers write it into a text column: as it is, an object without its braces, or Python's notation.
CREATE OR REPLACE MACRO billing_json(text) AS
CASE WHEN text = '""' THEN '{}'
    WHEN json_valid(text) AND text[1] IN ('{', '[') THEN text
    WHEN text[1] = '"' AND json_valid('{' || text || '}') THEN '{' || text || '}'
    WHEN text[1] IN ('{', '[') AND json_valid(python_json(text)) THEN python_json(text) END;

-- [{"key": …, "value": …}] as Google writes labels, or an object -> a JSON object, `prefix` before each
-- key. Of a key that stands twice the first one counts.
CREATE OR REPLACE MACRO label_pairs(text, prefix) AS
list_transform(
    CASE WHEN text[1] = '{' THEN map_entries(from_json(text, '"MAP(VARCHAR, VARCHAR)"'))
        ELSE from_json(text, '[{"key": "VARCHAR", "value": "VARCHAR"}]') END,
    lambda one: {'key': prefix || one.key, 'value': coalesce(one.value, '')}
);

CREATE OR REPLACE MACRO pairs_object(pairs) AS
CASE WHEN len(pairs) > 0 THEN to_json(map_from_entries(list_filter(
    pairs, lambda one, n: one.key IS NOT NULL
        AND list_position(list_transform(pairs, lambda other: other.key), one.key) = n
)))::VARCHAR END;

-- JSON without the keys that match: of an object, or of a list of {"key": …}. The escape \u may hide a letter of a key.
-- The lists of one only name a text which is used often.
CREATE OR REPLACE MACRO without_keys(text, pattern) AS
list_transform([text], lambda given: CASE
    WHEN NOT (regexp_matches(given, pattern) OR contains(given, '\u')) THEN given
    WHEN given[1] = '{' THEN coalesce(pairs_object(list_filter(
        map_entries(from_json(given, '"MAP(VARCHAR, JSON)"')), lambda pair: NOT regexp_matches(pair.key, pattern)
    )), '{}')
    ELSE to_json(list_filter(
        from_json(given, '["JSON"]'), lambda pair: NOT coalesce(regexp_matches(pair ->> 'key', pattern), false)
    ))::VARCHAR END)[1];

-- A text as it is; of JSON what without_keys leaves, and nothing where what matches lies deeper.
CREATE OR REPLACE MACRO without_people(text, pattern) AS
CASE WHEN text[1] NOT IN ('{', '[', '"') OR NOT (regexp_matches(text, pattern) OR contains(text, '\u')) THEN text
    ELSE list_transform(
        [coalesce(TRY(without_keys(billing_json(text), pattern)), text)],
        lambda kept: CASE WHEN NOT regexp_matches(kept, pattern) THEN kept END
    )[1] END;

-- price x quantity, both to 12 places, for costs that a provider does not state; where one has eight to ten digits before
-- the point, that one to six. A product of 18 places each would need more digits than a decimal has.
CREATE OR REPLACE MACRO amount_product(price, quantity) AS
CASE WHEN price IS NOT NULL AND quantity IS NOT NULL THEN coalesce(
    (try_cast(price AS DECIMAL(19,12)) * try_cast(quantity AS DECIMAL(19,12)))::DECIMAL(38,18),
    (try_cast(price AS DECIMAL(19,12)) * try_cast(quantity AS DECIMAL(16,6)))::DECIMAL(38,18),
    (try_cast(price AS DECIMAL(16,6)) * try_cast(quantity AS DECIMAL(19,12)))::DECIMAL(38,18)
) END;

-- amount x rate, as amount_product; the amount itself at a rate of 1.
CREATE OR REPLACE MACRO converted_amount(amount, rate) AS
CASE WHEN rate = 1 THEN amount ELSE amount_product(amount, rate) END;

-- part / whole to 12 places, the rest cut off; both to ten places, below 10^8. NULL where the whole is zero.
CREATE OR REPLACE MACRO amount_ratio(part, whole) AS
TRY((
    (part::DECIMAL(18,10) * 10000000000)::HUGEINT * 1000000000000
    // nullif((whole::DECIMAL(18,10) * 10000000000)::HUGEINT, 0)
)::DECIMAL(26,0) * 0.000000000001::DECIMAL(12,12));

-- Whether a cost is price x quantity to nine digits, or nine places below 1: every digit of the product counts, NULL where
-- one is missing. 18 places each make 36, which a decimal has below 100; beyond, the price, at last both, are taken as
-- nine places and what they leave. Casts to fewer places are what costs: below 100 there is none.
CREATE OR REPLACE MACRO is_product(cost, price, quantity) AS
CASE WHEN price IS NOT NULL AND quantity IS NOT NULL THEN coalesce(
    CASE WHEN abs(cost) < 99 THEN is_small_beside(TRY(cost - price * quantity), cost)
        WHEN abs(cost) < 99999999999 THEN is_small_beside(TRY(
            (cost - nine_places(price) * quantity)::DECIMAL(38,36) - (price - nine_places(price)) * quantity
        ), cost) END,
    is_small_beside(TRY((cost - nine_places(price) * nine_places(quantity))::DECIMAL(38,27)
        - nine_places(price) * (quantity - nine_places(quantity))
        - (price - nine_places(price)) * nine_places(quantity)
    ), cost),
    false
) END;

CREATE OR REPLACE MACRO nine_places(amount) AS
amount::DECIMAL(38,9);

CREATE OR REPLACE MACRO is_small_beside(difference, cost) AS
abs(difference) <= 0.000000001 * greatest(1::DECIMAL(38,18), abs(cost));
