-- Records (and whole objects, line 0) that were refused on a landed date, by stream and reason.
--
-- grain:   stream x reason
-- inputs:  quarantine
-- params:  day

SELECT stream, reason, count(*) AS n
FROM quarantine
WHERE landed_date = $day
GROUP BY ALL
ORDER BY ALL
