-- Usage dates whose result may change because arrivals came, went or changed. The index does not tell all that another
-- date takes of a record (its object and line, which are part of the order, and what its repeats are compared with):
-- every record of a changed partition counts as changed.
--
-- grain:   usage_date
-- inputs:  old_key, new_key (index of the changed partitions before and after), live_key (index of all others)

WITH changed AS (
    FROM new_key UNION ALL FROM old_key
),

-- what a changed record corrects, and what another delivery under the same identity corrects: either may now win
corrected AS (
    SELECT corrects_hash FROM (FROM changed UNION ALL FROM live_key UNION ALL FROM new_key UNION ALL FROM old_key)
    WHERE corrects_hash IS NOT NULL AND key_hash IN (SELECT key_hash FROM changed)
)

SELECT DISTINCT usage_date
FROM live_key
WHERE key_hash IN (SELECT key_hash FROM changed)
    OR key_hash IN (FROM corrected)
    OR corrects_hash IN (FROM corrected)
    -- where a record counts decides whether a void of it reaches its adjusts
    OR corrects_hash IN (SELECT key_hash FROM changed)
ORDER BY ALL
