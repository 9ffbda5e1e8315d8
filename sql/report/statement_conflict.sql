-- Records on a usage date that repeat an identity with another payload, each counted once.
--
-- grain:   stream
-- inputs:  duplicate
-- params:  day

SELECT stream, count(DISTINCT (raw_object_key, raw_line)) AS records
FROM duplicate
WHERE usage_date = $day AND class = 'conflict'
GROUP BY ALL
ORDER BY ALL
