-- What normalize kept and refused: records by object (meter NULL), measures and quantities by object and meter.
--
-- grain:   object_id x meter x unit
-- inputs:  arrival

SELECT
    object_id,
    NULL AS meter,
    NULL AS unit,
    count(*) FILTER (is_kept) AS kept,
    count(*) FILTER (NOT is_kept) AS refused,
    NULL::DECIMAL(38,9) AS quantity_kept,
    NULL::DECIMAL(38,9) AS quantity_refused
FROM (SELECT DISTINCT object_id, record_id, reject_reason IS NULL AS is_kept FROM arrival)
GROUP BY ALL
UNION ALL
SELECT
    object_id,
    meter,
    unit,
    count(*) FILTER (reject_reason IS NULL) AS kept,
    count(*) FILTER (reject_reason IS NOT NULL) AS refused,
    sum(quantity) FILTER (reject_reason IS NULL)::DECIMAL(38,9) AS quantity_kept,
    sum(quantity) FILTER (reject_reason IS NOT NULL)::DECIMAL(38,9) AS quantity_refused
FROM arrival
WHERE meter IS NOT NULL AND unit IS NOT NULL
GROUP BY ALL
