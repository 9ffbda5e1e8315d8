-- Totals of a usage date by meter and unit.
--
-- grain:   stream x meter x unit
-- inputs:  usage_daily
-- params:  day

SELECT
    stream,
    meter,
    unit,
    sum(quantity)::DECIMAL(38,9)::VARCHAR AS quantity,
    sum(weighted_quantity)::DECIMAL(38,9)::VARCHAR AS weighted_quantity,
    sum(events)::BIGINT AS events,
    sum(sampled_events)::BIGINT AS sampled_events,
    count(DISTINCT tenant_id) FILTER (tenant_id <> 'UNATTRIBUTED') AS tenants,
    sum(CASE WHEN tenant_id = 'UNATTRIBUTED' THEN events ELSE 0 END)::BIGINT AS unattributed_events
FROM usage_daily
WHERE usage_date = $day
GROUP BY ALL
ORDER BY ALL
