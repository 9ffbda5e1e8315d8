-- The last restatement of a usage date by meter and unit: totals of the day before and after it.
--
-- grain:   stream x meter x unit
-- inputs:  restatement, usage_daily
-- params:  day

WITH latest AS (
    SELECT stream, replaced, cause, meter, unit, sum(difference) AS difference
    FROM restatement
    WHERE usage_date = $day
    GROUP BY stream, replaced, cause, meter, unit
    QUALIFY replaced = max(replaced) OVER (PARTITION BY stream)
),

total AS (
    SELECT stream, meter, unit, sum(quantity) AS quantity
    FROM usage_daily
    WHERE usage_date = $day
    GROUP BY ALL
)

SELECT
    stream,
    replaced,
    cause,
    meter,
    unit,
    (coalesce(total.quantity, 0) - difference)::DECIMAL(38,9)::VARCHAR AS old_quantity,
    coalesce(total.quantity, 0)::DECIMAL(38,9)::VARCHAR AS new_quantity,
    difference::DECIMAL(38,9)::VARCHAR AS difference
FROM latest
LEFT JOIN total USING (stream, meter, unit)
ORDER BY ALL
