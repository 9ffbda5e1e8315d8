-- Measures of this usage date whose record was delivered before, with the record that is kept in their place.
--
-- grain:   idempotency_key x delivery (object and line)
-- inputs:  rival, first_delivery

WITH delivery AS (
    SELECT record_key, raw_object_key, raw_line, count(*) AS measures FROM rival GROUP BY ALL
),

kept AS (
    SELECT rival.*, delivery.measures
    FROM rival
    JOIN first_delivery USING (record_key, raw_object_key, raw_line)
    JOIN delivery USING (record_key, raw_object_key, raw_line)
),

measure AS (
    SELECT
        lost.of_this_date,
        lost.stream,
        lost.usage_date,
        CASE
            WHEN same.record_key IS NULL
                OR same.measures <> delivery.measures
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
        first_delivery.usage_date AS kept_usage_date,
        lost.raw_object_key,
        lost.raw_line,
        first_delivery.raw_object_key AS kept_object_key,
        first_delivery.raw_line AS kept_line
    FROM rival lost
    JOIN first_delivery ON first_delivery.record_key = lost.record_key
        AND (first_delivery.raw_object_key, first_delivery.raw_line) <> (lost.raw_object_key, lost.raw_line)
    JOIN delivery ON delivery.record_key = lost.record_key
        AND delivery.raw_object_key = lost.raw_object_key AND delivery.raw_line = lost.raw_line
    LEFT JOIN kept same ON same.record_key = lost.record_key AND same.meter = lost.meter
),

-- a record is a conflict whole, whichever of its measures differs, also one that counts on another date
conflict AS (
    SELECT DISTINCT record_key, raw_object_key, raw_line FROM measure WHERE class = 'conflict'
)

SELECT measure.* EXCLUDE (of_this_date)
    REPLACE (CASE WHEN conflict.record_key IS NULL THEN class ELSE 'conflict' END AS class)
FROM measure
LEFT JOIN conflict USING (record_key, raw_object_key, raw_line)
WHERE of_this_date
