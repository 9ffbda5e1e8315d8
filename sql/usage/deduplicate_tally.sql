-- What deduplicate read, kept and set aside, by meter; each part counted from its own table.
--
-- grain:   meter x unit
-- inputs:  arrival, event_row, duplicate_row, correction_row

WITH part AS (
    SELECT 'in' AS part, meter, unit, quantity FROM arrival
    UNION ALL SELECT 'out', meter, unit, quantity FROM event_row
    UNION ALL SELECT 'duplicate', meter, unit, quantity FROM duplicate_row
    UNION ALL SELECT role, meter, unit, quantity FROM correction_row
)

SELECT
    meter,
    unit,
    count(*) FILTER (part = 'in') AS rows_in,
    count(*) FILTER (part = 'out') AS rows_out,
    count(*) FILTER (part = 'duplicate') AS rows_duplicate,
    count(*) FILTER (part = 'voided') AS rows_voided,
    count(*) FILTER (part = 'void') AS rows_void,
    coalesce(sum(quantity) FILTER (part = 'in'), 0)::DECIMAL(38,9) AS quantity_in,
    coalesce(sum(quantity) FILTER (part = 'out'), 0)::DECIMAL(38,9) AS quantity_out,
    coalesce(sum(quantity) FILTER (part = 'duplicate'), 0)::DECIMAL(38,9) AS quantity_duplicate,
    coalesce(sum(quantity) FILTER (part = 'voided'), 0)::DECIMAL(38,9) AS quantity_voided
FROM part
GROUP BY ALL
ORDER BY ALL
