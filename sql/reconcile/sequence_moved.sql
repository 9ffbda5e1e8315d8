-- Landed dates of objects before which numbers are or were missing, and others than before since manifests changed.
--
-- grain:   landed_date
-- inputs:  manifest (of dates that did not change), old_manifest, new_manifest (of those that did)

WITH run AS (
    SELECT
        is_kept,
        landed_date,
        raw_object_key,
        first_sequence,
        coalesce(max(first_sequence + records) OVER (
            PARTITION BY is_new, sequence_scope
            ORDER BY first_sequence, raw_object_key
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), -1) AS expected
    FROM (
        SELECT *, true AS is_kept, unnest([false, true]) AS is_new FROM manifest
        UNION ALL
        SELECT *, false, false FROM old_manifest
        UNION ALL
        SELECT *, false, true FROM new_manifest
    )
    WHERE first_sequence IS NOT NULL
)

SELECT DISTINCT landed_date
FROM run
WHERE is_kept
GROUP BY landed_date, raw_object_key
HAVING min(expected) <> max(expected) AND bool_or(first_sequence > expected)
ORDER BY ALL
