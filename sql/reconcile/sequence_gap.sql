-- Sequence numbers that no object holds: between the end of what came before and the start of an object.
-- The first object of a scope has nothing before it, so what went missing earlier cannot be seen.
--
-- grain:   stream x sequence_scope x gap, named by the object behind the gap
-- inputs:  manifest

WITH run AS (
    SELECT
        stream,
        sequence_scope,
        landed_date,
        raw_object_key,
        first_sequence,
        max(first_sequence + records) OVER (
            PARTITION BY stream, sequence_scope
            ORDER BY first_sequence, raw_object_key
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS expected
    FROM manifest
    WHERE first_sequence IS NOT NULL
)

SELECT
    stream,
    sequence_scope,
    landed_date,
    expected AS first_missing,
    first_sequence - expected AS missing,
    raw_object_key
FROM run
WHERE first_sequence > expected
ORDER BY ALL
