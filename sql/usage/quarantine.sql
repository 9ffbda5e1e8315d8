-- Refused records with their reason, their text as it was written, and what they would have counted.
--
-- grain:   record_id
-- inputs:  arrival, batch
-- params:  stream, version

SELECT
    $stream AS stream,
    $version AS schema_version,
    refused.landed_date,
    refused.reason,
    refused.raw_object_key,
    refused.raw_object_etag,
    refused.raw_line,
    refused.delivered_at,
    refused.event_time,
    refused.quantities,
    CASE WHEN refused.reason IN ('not_utf8', 'line_too_long') THEN 'base64' ELSE 'utf-8' END AS raw_encoding,
    CASE WHEN raw_encoding = 'utf-8' THEN decode(batch.raw) ELSE base64(batch.raw) END AS raw_text
FROM (
    SELECT
        record_id,
        min(landed_date) AS landed_date,
        min(reject_reason) AS reason,
        min(raw_object_key) AS raw_object_key,
        min(raw_object_etag) AS raw_object_etag,
        min(raw_line) AS raw_line,
        min(delivered_at) AS delivered_at,
        min(event_time) AS event_time,
        map_from_entries(coalesce(
            list(ROW(meter || ' ' || unit || CASE WHEN nth > 1 THEN ' #' || nth ELSE '' END, quantity::VARCHAR)
                ORDER BY meter, unit, nth)
                FILTER (meter IS NOT NULL AND unit IS NOT NULL AND quantity IS NOT NULL), [])) AS quantities
    FROM (
        SELECT *, row_number() OVER (PARTITION BY record_id, meter, unit ORDER BY quantity) AS nth
        FROM arrival
        WHERE reject_reason IS NOT NULL
    )
    GROUP BY record_id
) refused
JOIN batch USING (record_id)
