-- Streams with an object of the day before which numbers seem to be missing, as far as the manifests at hand tell.
-- More of them can only close a gap: what is not open here has none in all manifests either.
--
-- grain:   stream
-- inputs:  manifest
-- params:  day

WITH run AS (
    SELECT
        stream,
        landed_date,
        first_sequence,
        max(first_sequence + records) OVER (
            PARTITION BY stream, sequence_scope
            ORDER BY first_sequence, raw_object_key
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS expected
    FROM manifest
    WHERE first_sequence IS NOT NULL
)

SELECT DISTINCT stream
FROM run
WHERE landed_date = $day AND first_sequence > coalesce(expected, 0)
ORDER BY ALL
