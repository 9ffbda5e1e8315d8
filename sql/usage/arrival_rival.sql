-- Delivered records that claim the same identity as one of this usage date, or as a void elsewhere that may
-- cancel one of it, wherever they count; first one first.
--
-- grain:   record_key x delivery (object and line)
-- inputs:  arrival (this usage date), foreign_arrival (other usage dates)

WITH measure AS (
    SELECT record_key, delivered_at, raw_object_key, raw_line, usage_date FROM arrival
    UNION ALL
    SELECT record_key, delivered_at, raw_object_key, raw_line, usage_date FROM foreign_arrival
    WHERE record_key IN (SELECT record_key FROM arrival)
        OR record_key IN (SELECT record_key FROM foreign_arrival WHERE record_kind = 'void')
),

-- the engine's hash only picks candidates; equality is decided on the key itself
candidate AS (
    SELECT hash(record_key) AS key_hash FROM measure GROUP BY ALL HAVING count(*) > 1
),

delivery AS (
    SELECT record_key, delivered_at, raw_object_key, raw_line, min(usage_date) AS usage_date
    FROM measure
    WHERE hash(record_key) IN (FROM candidate)
    GROUP BY ALL
)

SELECT
    *,
    row_number() OVER (PARTITION BY record_key ORDER BY delivered_at, raw_object_key, raw_line) AS nth
FROM delivery
QUALIFY count(*) OVER (PARTITION BY record_key) > 1
