-- The last restatement of a usage date by meter and unit.
--
-- grain:   stream x meter x unit
-- inputs:  restatement
-- params:  day

SELECT
    stream,
    replaced,
    cause,
    meter,
    unit,
    sum(old_quantity)::DECIMAL(38,9)::VARCHAR AS old_quantity,
    sum(new_quantity)::DECIMAL(38,9)::VARCHAR AS new_quantity,
    sum(difference)::DECIMAL(38,9)::VARCHAR AS difference
FROM restatement
WHERE usage_date = $day
    AND replaced = (SELECT max(replaced) FROM restatement later WHERE later.usage_date = $day AND later.stream = restatement.stream)
GROUP BY ALL
ORDER BY ALL
