-- Daily usage: exact sums over the events of one date and stream.
--
-- grain:   usage_date, stream, tenant_id, meter, unit, sku_id, region_id, labels
-- inputs:  usage_event
-- params:  daily_labels (keys that the contract keeps)

WITH event AS (
    SELECT
        * REPLACE (
            map_from_entries(list_filter(
                map_entries(labels), lambda label: list_contains($daily_labels::VARCHAR[], label.key))) AS labels
        )
    FROM usage_event
)

SELECT
    usage_date,
    stream,
    tenant_id,
    meter,
    unit,
    sku_id,
    region_id,
    labels,
    sum(quantity)::DECIMAL(38,9) AS quantity,
    sum(quantity * sample_weight)::DECIMAL(38,9) AS weighted_quantity,
    count(*)::BIGINT AS events,
    count(*) FILTER (sample_weight > 1)::BIGINT AS sampled_events
FROM event
GROUP BY ALL
