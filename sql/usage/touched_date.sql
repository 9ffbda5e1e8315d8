-- Usage dates whose result may change because arrivals came, went or changed.
--
-- grain:   usage_date
-- inputs:  old_key, new_key (index of the changed partitions before and after), live_key (index of all others)

WITH changed AS (
    (FROM new_key EXCEPT FROM old_key)
    UNION ALL
    (FROM old_key EXCEPT FROM new_key)
)

SELECT DISTINCT usage_date
FROM live_key
WHERE key_hash IN (SELECT key_hash FROM changed)
    OR key_hash IN (SELECT corrects_hash FROM changed WHERE corrects_hash IS NOT NULL)
    OR corrects_hash IN (SELECT corrects_hash FROM changed WHERE corrects_hash IS NOT NULL)
ORDER BY ALL
