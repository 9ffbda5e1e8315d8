-- CloudTrail records -> one API call each, and the bytes sent where the record names any.
--
-- grain:   record_id x meter
-- inputs:  raw

SELECT
    record_id,
    event_source AS source,
    event_id AS source_event_id,
    account.tenant_id,
    'account_map' AS attribution,
    recipient_account_id AS sub_account_id,
    coalesce(principal, principal_id) AS principal_hash,
    replace(event_source, '.amazonaws.com', '') AS service_name,
    aws_region AS region_id,
    measure.meter,
    measure.unit,
    exact_quantity(measure.quantity) AS quantity,
    utc_timestamp(event_time) AS event_time,
    -- calls are totalled per service and operation class, bytes per principal
    CASE measure.meter
        WHEN 'api_calls' THEN MAP {
            'service': replace(event_source, '.amazonaws.com', ''),
            'operation_class': CASE read_only WHEN 'true' THEN 'read' WHEN 'false' THEN 'write' ELSE 'unknown' END
        }
        ELSE MAP {'principal': coalesce(principal, principal_id)}
    END AS labels,
    CASE
        WHEN event_source IS NULL OR event_name IS NULL THEN 'no_operation'
        ELSE quantity_problem(measure.quantity)
    END AS reject_reason
FROM raw
LEFT JOIN attribution_map account ON account.rule = 'account_map' AND account.key = raw.recipient_account_id,
    LATERAL (VALUES ('api_calls', 'Requests', '1'), ('egress_bytes', 'Bytes', bytes_out)) measure(meter, unit, quantity)
WHERE measure.quantity IS NOT NULL
