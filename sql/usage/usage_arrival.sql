-- Mapped measures of delivered records, judged and completed: canonical columns plus reject_reason.
-- A record is refused whole, also where only one of its measures has a reject_reason here: etl/verdict.py sees to it.
--
-- grain:   record_id x meter; a record without any measure gives one row (reason no_measure)
-- inputs:  measure, mapped, meter_unit, attribution_rule
-- params:  stream, schema_version, late_window_days, allowed_labels

WITH judged AS (
    SELECT
        measure.* REPLACE (
            coalesce(measure.record_kind, 'usage') AS record_kind,
            coalesce(measure.tenant_id, 'UNATTRIBUTED') AS tenant_id,
            CASE WHEN nullif(measure.tenant_id, 'UNATTRIBUTED') IS NULL THEN 'none' ELSE measure.attribution END AS attribution,
            CASE WHEN measure.sample_weight IS NULL THEN 1
                WHEN regexp_full_match(measure.sample_weight, '\d{1,9}') THEN measure.sample_weight::INTEGER
            END AS sample_weight,
            coalesce(measure.period_start, measure.event_time) AS period_start,
            coalesce(measure.period_end, measure.event_time) AS period_end,
            CASE WHEN cardinality(measure.labels) = 1 AND map_values(measure.labels)[1] IS NOT NULL THEN measure.labels
                ELSE coalesce(map_from_entries(list_sort(list_filter(
                    map_entries(measure.labels), lambda label: label.value IS NOT NULL))), MAP {}) END AS labels
        ),
        meter_unit.meter IS NOT NULL OR coalesce(measure.record_kind = 'void' AND measure.unit IS NOT NULL, false) AS meter_known,
        attribution_rule.rule IS NOT NULL AS rule_known,
        repeated.meter IS NOT NULL AS meter_repeated
    FROM measure
    LEFT JOIN (
        SELECT record_id, meter
        FROM mapped SEMI JOIN (SELECT record_id FROM mapped GROUP BY ALL HAVING count(*) > 1) USING (record_id)
        GROUP BY ALL HAVING count(*) > 1
    ) repeated ON repeated.record_id = measure.record_id AND repeated.meter = measure.meter
    LEFT JOIN meter_unit ON meter_unit.meter = measure.meter AND meter_unit.unit = measure.unit
    LEFT JOIN attribution_rule
        ON attribution_rule.rule = CASE WHEN nullif(measure.tenant_id, 'UNATTRIBUTED') IS NULL THEN 'none' ELSE measure.attribution END
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
            -- a billion records of the largest weighted quantity still add up within decimal(38,9). Below the first
            -- bound, that of the largest weight, nobody divides in 128 bits: it took as long as a sha256
            WHEN abs(quantity) >= 100000000000 AND
                abs(quantity) >= (100000000000000000000::HUGEINT // sample_weight)::DECIMAL(38,9)
                THEN 'quantity_too_large'
            WHEN record_kind <> 'usage' AND corrects_key IS NULL THEN 'no_target'
            WHEN meter_repeated THEN 'repeated_meter'
            WHEN NOT meter_known THEN 'unknown_meter'
            WHEN NOT rule_known THEN 'unknown_attribution'
            WHEN cardinality(labels) > 16 OR NOT list_has_all($allowed_labels::VARCHAR[], map_keys(labels))
                THEN 'labels_not_allowed'
            WHEN period_end < period_start THEN 'period_reversed'
            WHEN least(event_time, period_start) < delivered_at - to_days($late_window_days) THEN 'too_late'
            WHEN personal_data(concat_ws(
                chr(10), source, source_event_id, tenant_id, billing_account_id, sub_account_id, service_name, sku_id,
                derivation, principal_hash, trace_id, CASE record_kind WHEN 'void' THEN meter || chr(10) || coalesce(unit, '') END,
                resource_id, resource_type, region_id, array_to_string(map_values(labels), chr(10))))
                THEN 'personal_data'
        END AS reason
    FROM judged
),

-- a producer's clock may run ahead, but usage cannot happen after it was delivered
timed AS (
    SELECT
        *,
        greatest(event_time, period_start) > delivered_at + INTERVAL 5 MINUTE AS ahead,
        CASE WHEN ahead THEN delivered_at ELSE period_start END AS true_start
    FROM reasoned
)

SELECT
    record_id, object_id,
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
    resource_id, resource_type,
    meter, sku_id,
    quantity,
    unit,
    sample_weight,
    coalesce(derivation, 'event') AS derivation,
    CASE WHEN ahead THEN least(event_time, delivered_at) ELSE event_time END AS event_time,
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
    reason AS reject_reason
FROM timed
