-- Measures of this usage date that a void cancelled, and the void instructions that stand on it.
-- An adjust of a voided record is cancelled with it. Each void counts once, before its target or after it.
--
-- grain:   idempotency_key
-- inputs:  arrival, foreign_arrival, duplicate_row

WITH kept AS (
    SELECT * FROM arrival
    ANTI JOIN duplicate_row USING (raw_object_key, raw_line)
),

voided AS (
    SELECT DISTINCT corrects_key AS record_key
    FROM (FROM arrival UNION ALL FROM foreign_arrival)
    WHERE record_kind = 'void'
)

SELECT
    stream,
    usage_date,
    CASE record_kind WHEN 'void' THEN 'void' ELSE 'voided' END AS role,
    record_key,
    corrects_key,
    meter,
    unit,
    quantity,
    raw_object_key,
    raw_line
FROM kept
WHERE record_kind = 'void'
    OR record_key IN (FROM voided)
    OR (record_kind = 'adjust' AND corrects_key IN (FROM voided))
