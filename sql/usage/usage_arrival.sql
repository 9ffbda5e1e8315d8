-- Mapped measures of delivered records, judged and completed: canonical columns plus reject_reason.
-- A record is refused whole: where one of its measures is refused, all of them carry the reason.
--
-- grain:   record_id x meter; a record without any measure gives one row (reason no_measure)
-- inputs:  record, mapped, meter_unit, attribution_rule
-- params:  stream, schema_version, late_window_days, allowed_labels

WITH judged AS (
    SELECT
        record.*,
        mapped.* EXCLUDE (record_id) REPLACE (
            coalesce(mapped.record_kind, 'usage') AS record_kind,
            coalesce(mapped.tenant_id, 'UNATTRIBUTED') AS tenant_id,
            CASE WHEN nullif(mapped.tenant_id, 'UNATTRIBUTED') IS NULL THEN 'none' ELSE mapped.attribution END AS attribution,
            CASE WHEN mapped.sample_weight IS NULL THEN 1
                WHEN regexp_full_match(mapped.sample_weight, '\d{1,9}') THEN mapped.sample_weight::INTEGER
            END AS sample_weight,
            coalesce(mapped.period_start, mapped.event_time) AS period_start,
            coalesce(mapped.period_end, mapped.event_time) AS period_end,
            CASE WHEN cardinality(mapped.labels) = 1 AND map_values(mapped.labels)[1] IS NOT NULL THEN mapped.labels
                ELSE coalesce(map_from_entries(list_sort(list_filter(
                    map_entries(mapped.labels), lambda label: label.value IS NOT NULL))), MAP {}) END AS labels
        ),
        meter_unit.meter IS NOT NULL OR coalesce(mapped.record_kind = 'void', false) AS meter_known,
        attribution_rule.rule IS NOT NULL AS rule_known,
        repeated.meter IS NOT NULL AS meter_repeated
    FROM record
    LEFT JOIN mapped USING (record_id)
    LEFT JOIN (SELECT record_id, meter FROM mapped GROUP BY ALL HAVING count(*) > 1) repeated
        ON repeated.record_id = mapped.record_id AND repeated.meter = mapped.meter
    LEFT JOIN meter_unit ON meter_unit.meter = mapped.meter AND meter_unit.unit = mapped.unit
    LEFT JOIN attribution_rule
        ON attribution_rule.rule = CASE WHEN nullif(mapped.tenant_id, 'UNATTRIBUTED') IS NULL THEN 'none' ELSE mapped.attribution END
),

reasoned AS (
    SELECT
        *,
        CASE
            WHEN parse_reason IS NOT NULL THEN parse_reason
            WHEN meter IS NULL AND reject_reason IS NULL THEN 'no_measure'
            WHEN record_key IS NULL THEN 'no_identity'
            WHEN reject_reason IS NOT NULL THEN reject_reason
            WHEN event_time IS NULL THEN 'no_time'
            WHEN source IS NULL THEN 'no_source'
            WHEN quantity IS NULL THEN 'no_quantity'
            WHEN sample_weight IS NULL OR sample_weight < 1 THEN 'sample_weight'
            WHEN record_kind NOT IN ('usage', 'void', 'adjust') THEN 'unknown_kind'
            WHEN record_kind = 'usage' AND quantity < 0 THEN 'negative_quantity'
            WHEN record_kind = 'void' AND quantity <> 0 THEN 'void_with_quantity'
            -- a billion records of the largest weighted quantity still add up within decimal(38,9)
            WHEN abs(quantity) >= (100000000000000000000::HUGEINT // sample_weight)::DECIMAL(38,9)
                THEN 'quantity_too_large'
            WHEN record_kind <> 'usage' AND corrects_key IS NULL THEN 'no_target'
            WHEN meter_repeated THEN 'repeated_meter'
            WHEN NOT meter_known THEN 'unknown_meter'
            WHEN NOT rule_known THEN 'unknown_attribution'
            WHEN cardinality(labels) > 16 OR NOT list_has_all($allowed_labels::VARCHAR[], map_keys(labels))
                THEN 'labels_not_allowed'
            WHEN period_end < period_start THEN 'period_reversed'
            WHEN period_start < delivered_at - to_days($late_window_days) THEN 'too_late'
            WHEN personal_data(concat_ws(
                chr(10), source, source_event_id, tenant_id, billing_account_id, sub_account_id, service_name,
                resource_id, resource_type, region_id, array_to_string(map_values(labels), chr(10))))
                THEN 'personal_data'
        END AS reason
    FROM judged
),

-- a producer's clock may run ahead, but usage cannot happen after it was delivered
timed AS MATERIALIZED (
    SELECT
        *,
        event_time > delivered_at + INTERVAL 5 MINUTE AS ahead,
        CASE WHEN ahead THEN delivered_at ELSE period_start END AS true_start
    FROM reasoned
)

SELECT
    record_id,
    sha256(record_key || chr(31) || meter) AS idempotency_key,
    record_key,
    $stream AS stream, $schema_version AS schema_version,
    source, source_event_id,
    sequence_scope, sequence_id,
    record_kind,
    corrects_key,
    tenant_id,
    attribution,
    billing_account_id,
    sub_account_id,
    principal_hash,
    service_name,
    resource_id,
    resource_type,
    meter,
    sku_id,
    quantity,
    unit,
    sample_weight,
    coalesce(derivation, 'event') AS derivation,
    CASE WHEN ahead THEN delivered_at ELSE event_time END AS event_time,
    true_start AS period_start,
    true_start + (period_end - period_start) AS period_end,
    true_start::DATE AS usage_date,
    CASE WHEN ahead THEN 'clamped' ELSE 'source' END AS time_quality,
    delivered_at,
    landed_date + INTERVAL 1 DAY AS ingested_at,
    region_id,
    labels,
    nullif(trace_id, '') AS trace_id,
    raw_object_key,
    raw_object_etag,
    raw_line,
    $stream || '/' || landed_date AS run_id,
    landed_date,
    refused.reason AS reject_reason
FROM timed
LEFT JOIN (SELECT record_id, min(reason) AS reason FROM timed WHERE reason IS NOT NULL GROUP BY record_id) refused
    USING (record_id)
