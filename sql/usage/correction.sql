-- Measures of this usage date that a void cancelled, and the void instructions that stand on it.
-- An adjust of a voided record is cancelled with it, one step: not an adjust of that adjust, and not where the void is too
-- far from the target to cancel it. Each void counts once, before its target or after it; a void that itself repeats an
-- identity (another record came first under it) cancels nothing.
--
-- grain:   idempotency_key
-- inputs:  arrival, foreign_arrival, duplicate_row, repeated_void
-- params:  reach (days within which a void cancels)

WITH voided AS MATERIALIZED (
    SELECT DISTINCT corrects_key AS record_key, usage_date
    FROM (FROM arrival UNION ALL FROM foreign_arrival)
    ANTI JOIN repeated_void USING (record_key, raw_object_key, raw_line)
    WHERE record_kind = 'void'
),

-- where the first delivery of a voided record counts; of one that counts farther off nothing is known here
target AS (
    SELECT
        record_key,
        min({'at': delivered_at, 'object': raw_object_key, 'line': raw_line, 'usage_date': usage_date}).usage_date AS usage_date
    FROM (FROM arrival UNION ALL FROM foreign_arrival)
    WHERE record_key IN (SELECT record_key FROM voided)
    GROUP BY record_key
),

cancelled AS MATERIALIZED (
    SELECT DISTINCT voided.record_key
    FROM voided
    LEFT JOIN target USING (record_key)
    WHERE coalesce(abs(target.usage_date - voided.usage_date) <= $reach, true)
),

-- few of a day: so that not all of it is compared with its repeats
corrected AS MATERIALIZED (
    SELECT * FROM arrival
    WHERE record_kind = 'void'
        OR record_key IN (SELECT record_key FROM voided)
        OR (record_kind = 'adjust' AND corrects_key IN (FROM cancelled))
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
FROM corrected
ANTI JOIN duplicate_row USING (raw_object_key, raw_line)
