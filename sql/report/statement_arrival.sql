-- Arrivals that claim a usage date, by stream. Late: delivered after the UTC day had ended.
--
-- grain:   stream
-- inputs:  usage_arrival
-- params:  day

SELECT
    stream,
    string_agg(DISTINCT schema_version, ', ' ORDER BY schema_version) AS contract_version,
    count(*) AS measures,
    count(DISTINCT (raw_object_key, raw_line)) AS records,
    count(DISTINCT (raw_object_key, raw_line)) FILTER (delivered_at::DATE > usage_date) AS late,
    count(DISTINCT (raw_object_key, raw_line)) FILTER (sample_weight > 1) AS sampled,
    count(DISTINCT (raw_object_key, raw_line)) FILTER (time_quality = 'clamped') AS clamped,
    count(DISTINCT (raw_object_key, raw_line)) FILTER (record_kind = 'adjust') AS adjusts
FROM usage_arrival
WHERE usage_date = $day
GROUP BY ALL
ORDER BY ALL
