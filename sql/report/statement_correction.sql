-- Voids on a usage date: measures cancelled, instructions that stand on the date, and those whose target is unknown.
--
-- grain:   stream
-- inputs:  correction
-- params:  day

SELECT
    stream,
    count(DISTINCT record_key) FILTER (role = 'voided') AS records_voided,
    count(DISTINCT record_key) FILTER (role = 'void') AS voids,
    count(DISTINCT record_key) FILTER (role = 'void' AND corrects_key NOT IN (
        SELECT record_key FROM correction WHERE role = 'voided')) AS voids_unmatched
FROM correction
WHERE usage_date = $day
GROUP BY ALL
ORDER BY ALL
