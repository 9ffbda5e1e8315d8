-- What landed on a date, by stream.
--
-- grain:   stream
-- inputs:  manifest
-- params:  day

SELECT
    stream,
    count(*) AS objects,
    count(*) FILTER (outcome <> 'read') AS objects_refused,
    sum(records)::BIGINT AS records,
    sum(records_accepted)::BIGINT AS accepted,
    sum(records_refused)::BIGINT AS quarantined,
    coalesce(sum(records) FILTER (first_sequence IS NOT NULL), 0)::BIGINT AS sequenced
FROM manifest
WHERE landed_date = $day
GROUP BY ALL
ORDER BY ALL
