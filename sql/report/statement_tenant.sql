-- Totals of a usage date by tenant: the largest ones of each meter and unit, UNATTRIBUTED, and all others in one row.
--
-- grain:   stream x meter x unit x tenant_id (NULL: the others, so many `tenants`)
-- inputs:  usage_daily
-- params:  day, top

WITH tenant AS (
    SELECT
        stream,
        meter,
        unit,
        tenant_id,
        sum(quantity)::DECIMAL(38,9) AS quantity,
        sum(weighted_quantity)::DECIMAL(38,9) AS weighted_quantity,
        sum(events)::BIGINT AS events
    FROM usage_daily
    WHERE usage_date = $day
    GROUP BY ALL
),

ranked AS (
    SELECT
        *,
        tenant_id = 'UNATTRIBUTED' AS unattributed,
        row_number() OVER (
            PARTITION BY stream, meter, unit
            ORDER BY tenant_id = 'UNATTRIBUTED', abs(quantity) DESC, tenant_id
        ) AS nth
    FROM tenant
)

SELECT
    stream,
    meter,
    unit,
    CASE WHEN unattributed OR nth <= $top THEN tenant_id END AS tenant_id,
    count(*) AS tenants,
    sum(quantity)::DECIMAL(38,9)::VARCHAR AS quantity,
    sum(weighted_quantity)::DECIMAL(38,9)::VARCHAR AS weighted_quantity,
    sum(events)::BIGINT AS events
FROM ranked
GROUP BY stream, meter, unit, CASE WHEN unattributed OR nth <= $top THEN tenant_id END
ORDER BY stream, meter, unit, CASE WHEN bool_or(unattributed) THEN 2 WHEN min(nth) > $top THEN 1 ELSE 0 END, min(nth)
