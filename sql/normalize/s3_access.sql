-- Storage access log lines -> one request each, and the bytes sent where the line names any.
--
-- grain:   record_id x meter
-- inputs:  raw

SELECT
    record_id,
    bucket AS source,
    request_id AS source_event_id,
    -- the key is encoded twice in this log; its first segment is the tenant. What does not decode to text
    -- is no tenant: url_decode raises on bytes that are not UTF-8
    nullif(split_part(coalesce(
        TRY(url_decode(url_decode(key))),
        TRY(url_decode(url_decode(split_part(key, '/', 1))))
    ), '/', 1), '') AS tenant_id,
    'key_prefix' AS attribution,
    requester AS principal_hash,
    'storage' AS service_name,
    bucket AS resource_id,
    'bucket' AS resource_type,
    measure.meter,
    measure.unit,
    exact_quantity(measure.quantity) AS quantity,
    access_log_timestamp(time) AS event_time,
    MAP {'operation': operation, 'status': http_status} AS labels,
    quantity_problem(measure.quantity) AS reject_reason
FROM raw,
    LATERAL (
        VALUES ('storage_requests', 'Requests', '1'), ('storage_egress', 'Bytes', bytes_sent)
    ) measure(meter, unit, quantity)
WHERE measure.quantity IS NOT NULL
