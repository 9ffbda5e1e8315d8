-- Hashes of identities that more than one delivered record claims, one of them of this usage date. A hash only picks
-- candidates: which keys are equal is decided on the keys.
--
-- grain:   key_hash
-- inputs:  arrival (this usage date), foreign_arrival (other usage dates)

WITH measure AS NOT MATERIALIZED (
    SELECT record_key, raw_object_key, raw_line, true AS is_own FROM arrival
    UNION ALL
    SELECT record_key, raw_object_key, raw_line, false FROM foreign_arrival
),

-- a number instead of a name: the rows of a whole day are grouped here
object AS (
    SELECT raw_object_key, row_number() OVER () AS number FROM (SELECT DISTINCT raw_object_key FROM measure)
)

SELECT hash(record_key) AS key_hash, count(*) AS measures
FROM measure
JOIN object USING (raw_object_key)
GROUP BY key_hash
HAVING bool_or(is_own) AND (min(number) <> max(number) OR min(raw_line) <> max(raw_line))
