-- Delivered voids, wherever they count, whose identity another record claimed first, within reach of the void: they
-- cancel nothing.
--
-- grain:   record_key x delivery (object and line)
-- inputs:  arrival, foreign_arrival, far_arrival (of dates that such a void reaches, and this date does not)
-- params:  reach (days within which records may repeat one another)

WITH void AS MATERIALIZED (
    SELECT DISTINCT record_key, usage_date, delivered_at, raw_object_key, raw_line
    FROM (FROM arrival UNION ALL FROM foreign_arrival)
    WHERE record_kind = 'void'
),

-- the first claim on each date, not all of them: a void may be delivered many times
claim AS (
    SELECT
        record_key,
        usage_date,
        min({'at': delivered_at, 'object': raw_object_key, 'line': raw_line}) AS first
    FROM (FROM arrival UNION ALL FROM foreign_arrival UNION ALL FROM far_arrival)
    WHERE record_key IN (SELECT record_key FROM void)
    GROUP BY ALL
)

SELECT DISTINCT void.record_key, void.raw_object_key, void.raw_line
FROM void
JOIN claim USING (record_key)
WHERE abs(claim.usage_date - void.usage_date) <= $reach
    AND claim.first < {'at': void.delivered_at, 'object': void.raw_object_key, 'line': void.raw_line}
