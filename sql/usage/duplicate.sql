-- Measures of this usage date whose record was delivered before, with the record that is kept in their place.
--
-- grain:   idempotency_key x delivery (object and line)
-- inputs:  arrival, foreign_arrival, rival

WITH kept AS (
    SELECT record_key, raw_object_key, raw_line FROM rival WHERE nth = 1
),

kept_row AS (
    SELECT every_row.*, count(*) OVER (PARTITION BY every_row.record_key) AS measures
    FROM (FROM arrival UNION ALL FROM foreign_arrival) every_row
    JOIN kept USING (record_key, raw_object_key, raw_line)
),

measure AS (
    SELECT
        lost.stream,
        lost.usage_date,
        CASE
            WHEN same.record_key IS NULL
                OR same.measures <> count(*) OVER (PARTITION BY lost.record_key, lost.raw_object_key, lost.raw_line)
                OR (lost.record_kind, lost.corrects_key, lost.tenant_id, lost.attribution, lost.billing_account_id,
                    lost.sub_account_id, lost.principal_hash, lost.service_name, lost.resource_id, lost.resource_type,
                    lost.quantity, lost.unit, lost.sample_weight, lost.region_id, lost.labels)
                IS DISTINCT FROM
                   (same.record_kind, same.corrects_key, same.tenant_id, same.attribution, same.billing_account_id,
                    same.sub_account_id, same.principal_hash, same.service_name, same.resource_id, same.resource_type,
                    same.quantity, same.unit, same.sample_weight, same.region_id, same.labels)
                THEN 'conflict'
            WHEN (lost.period_start, lost.period_end) IS DISTINCT FROM (same.period_start, same.period_end)
                THEN 're_stamped'
            ELSE 're_delivery'
        END AS class,
        lost.record_key,
        lost.meter,
        lost.unit,
        lost.quantity,
        same.quantity AS kept_quantity,
        winner.usage_date AS kept_usage_date,
        lost.raw_object_key,
        lost.raw_line,
        winner.raw_object_key AS kept_object_key,
        winner.raw_line AS kept_line
    FROM arrival lost
    JOIN rival ON rival.nth > 1
        AND rival.record_key = lost.record_key
        AND rival.raw_object_key = lost.raw_object_key
        AND rival.raw_line = lost.raw_line
    JOIN (SELECT * FROM rival WHERE nth = 1) winner ON winner.record_key = lost.record_key
    LEFT JOIN kept_row same ON same.record_key = lost.record_key AND same.meter = lost.meter
)

-- a record is a conflict whole, whichever of its measures differs
SELECT
    * REPLACE (
        CASE WHEN bool_or(class = 'conflict') OVER (PARTITION BY record_key, raw_object_key, raw_line)
            THEN 'conflict' ELSE class END AS class
    )
FROM measure
