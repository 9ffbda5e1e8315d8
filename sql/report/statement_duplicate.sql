-- Repeats on a usage date by class, with the quantity kept out; for a conflict also how it differs from what was kept.
--
-- grain:   stream x class x meter x unit
-- inputs:  duplicate
-- params:  day

SELECT
    stream,
    class,
    meter,
    unit,
    count(DISTINCT (raw_object_key, raw_line)) AS records,
    sum(quantity)::DECIMAL(38,9)::VARCHAR AS quantity,
    sum(quantity - coalesce(kept_quantity, 0))::DECIMAL(38,9)::VARCHAR AS difference_to_kept
FROM duplicate
WHERE usage_date = $day
GROUP BY ALL
ORDER BY ALL
