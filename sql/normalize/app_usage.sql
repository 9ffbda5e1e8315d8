-- CloudEvents 1.0 usage events -> canonical measures: one an event; voids and adjusts point to their target.
--
-- grain:   record_id (one measure a record)
-- inputs:  raw

WITH meter_of(type, meter, unit) AS (
    VALUES
        ('com.example.api.call.v1', 'api_calls', 'Requests'),
        ('com.example.tokens.used.v1', 'llm_tokens', 'Tokens'),
        ('com.example.seat.minutes.v2', 'seat_minutes', 'Minutes')
),

kinds AS (
    SELECT
        *,
        CASE type
            WHEN 'com.example.usage.void.v1' THEN 'void'
            WHEN 'com.example.usage.adjust.v1' THEN 'adjust'
            ELSE 'usage'
        END AS kind,
        CASE kind WHEN 'adjust' THEN adjusts_type ELSE type END AS metered_type
    FROM raw
)

SELECT
    record_id,
    source,
    id AS source_event_id,
    kind AS record_kind,
    CASE kind
        WHEN 'void' THEN key_of('app_usage', [voids_source, voids_id])
        WHEN 'adjust' THEN key_of('app_usage', [adjusts_source, adjusts_id])
    END AS corrects_key,
    nullif(subject, '') AS tenant_id,
    'event' AS attribution,
    CASE kind WHEN 'void' THEN 'void' ELSE meter END AS meter,
    CASE kind WHEN 'void' THEN 'Requests' ELSE unit END AS unit,
    CASE kind WHEN 'void' THEN 0 ELSE exact_quantity(quantity) END AS quantity,
    coalesce(sampledrate, '1') AS sample_weight,
    utc_timestamp(time) AS event_time,
    MAP {'feature': feature} AS labels,
    regexp_extract(traceparent, '^[0-9a-f]{2}-([0-9a-f]{32})-', 1) AS trace_id,
    CASE
        WHEN specversion IS DISTINCT FROM '1.0' THEN 'unknown_version'
        WHEN kind <> 'usage' AND corrects_key IS NULL THEN 'no_target'
        WHEN kind <> 'void' AND meter IS NULL THEN 'unknown_type'
        WHEN kind <> 'void' THEN quantity_problem(raw_quantity)
    END AS reject_reason
FROM (SELECT *, quantity AS raw_quantity FROM kinds)
LEFT JOIN meter_of ON meter_of.type = metered_type
