-- Words that every model may use; made once for each engine.

-- RFC 3339 with a zone -> UTC timestamp; anything else, also a time without a zone, is NULL.
CREATE OR REPLACE MACRO utc_timestamp(text) AS
CASE WHEN regexp_full_match(
    text, '\d{4}-\d{2}-\d{2}[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)')
THEN CASE WHEN ends_with(text, 'Z') THEN try_cast(text AS TIMESTAMP) ELSE try_cast(text AS TIMESTAMPTZ)::TIMESTAMP END END;

-- The time of web and storage access logs, 17/Nov/2026:07:12:41 +0000 -> UTC timestamp.
CREATE OR REPLACE MACRO access_log_timestamp(text) AS
CASE WHEN regexp_full_match(text, '\d{2}/[A-Z][a-z]{2}/\d{4}:([01]\d|2[0-3]):[0-5]\d:[0-5]\d [+-]([01]\d|2[0-3])[0-5]\d')
THEN try_strptime(text, '%d/%b/%Y:%H:%M:%S %z')::TIMESTAMP END;

-- What the clocks of a zone show at a moment. Both are microseconds, so that the zone of a session plays no part.
CREATE OR REPLACE MACRO clocks_show(moment, zone) AS epoch_us(timezone(zone, make_timestamptz(moment)));

-- When clocks show this, if they are as far from UTC as they are at a moment near it.
CREATE OR REPLACE MACRO moment_of(shown, zone, near) AS shown - (clocks_show(near, zone) - near);

-- The time that clocks of a zone show, 2026-11-18 09:14:05 in 'Europe/Berlin' -> UTC timestamp; NULL where they show it
-- twice or never, because the zone moves its clocks: then they are not as far from UTC a day before as a day after.
-- The zone is part of the pattern because an engine looks at patterns before it has rows: a wrong one is found at once.
CREATE OR REPLACE MACRO local_timestamp(text, zone) AS
CASE WHEN regexp_full_match(text, CASE WHEN timezone(zone, TIMESTAMP '1970-01-01') IS NOT NULL
    THEN '\d{4}-\d{2}-\d{2}[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?' END)
THEN list_transform([epoch_us(try_cast(text AS TIMESTAMP))], lambda shown: list_transform(
    [{'before': moment_of(shown, zone, shown - 86400000000), 'after': moment_of(shown, zone, shown + 86400000000)}],
    lambda moment: CASE WHEN moment.before = moment.after THEN make_timestamp(moment.before)
        WHEN clocks_show(moment.before, zone) = shown AND clocks_show(moment.after, zone) <> shown
        THEN make_timestamp(moment.before)
        WHEN clocks_show(moment.after, zone) = shown AND clocks_show(moment.before, zone) <> shown
        THEN make_timestamp(moment.after) END)[1])[1] END;

CREATE OR REPLACE MACRO is_number(text) AS
regexp_full_match(text, '[+-]?\d+(\.\d+)?([eE][+-]?\d{1,3})?');

-- Decimal places that a number in text form needs, zeros at its end not counted.
CREATE OR REPLACE MACRO decimal_places(text) AS
length(regexp_extract(text, '\.(\d+)', 1))
- coalesce(try_cast(nullif(regexp_extract(text, '[eE]([+-]?\d+)$', 1), '') AS INTEGER), 0)
- length(regexp_extract(replace(regexp_extract(text, '^[+-]?([\d.]+)', 1), '.', ''), '(0*)$', 1));

-- Most numbers: they fit 64 bits, where a cast costs a fiftieth of what it costs in 128.
CREATE OR REPLACE MACRO is_short_number(text) AS
regexp_full_match(text, '-?\d{1,9}(\.\d{1,9})?');

-- Text -> decimal(38,9) below 10^20, exactly or not at all: never rounded, never through a float. The bound
-- leaves room for sums: no record can make the total of a day overflow.
CREATE OR REPLACE MACRO exact_quantity(text) AS
CASE WHEN is_short_number(text) THEN try_cast(text AS DECIMAL(18,9))::DECIMAL(38,9)
    WHEN is_number(text) AND decimal_places(text) <= 9
    AND abs(try_cast(text AS DECIMAL(38,9))) < 100000000000000000000::DECIMAL(38,9)
THEN try_cast(text AS DECIMAL(38,9)) END;

-- Why exact_quantity gave NULL.
CREATE OR REPLACE MACRO quantity_problem(text) AS
CASE WHEN text IS NULL THEN 'no_quantity'
    WHEN is_short_number(text) THEN NULL
    WHEN NOT is_number(text) THEN 'quantity_not_a_number'
    WHEN decimal_places(text) > 9 THEN 'quantity_too_precise'
    WHEN exact_quantity(text) IS NULL THEN 'quantity_too_large' END;

-- Identity of a source record: its parts joined by U+001F; NULL where a part is missing, empty or holds U+001F.
CREATE OR REPLACE MACRO key_of(stream, parts) AS
CASE WHEN len(list_filter(parts, lambda part: part <> '' AND NOT contains(part, chr(31)))) = len(parts)
THEN sha256(stream || chr(31) || array_to_string(parts, chr(31))) END;

CREATE OR REPLACE MACRO key_hash(record_key) AS
('0x' || record_key[1:16])::UBIGINT;
