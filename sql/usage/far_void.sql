-- Identities of the voids that bear on this usage date, and where they count: who else claims one decides whether it
-- cancels, also on a date that this one does not reach and the void does.
--
-- grain:   key_hash x usage_date
-- inputs:  own_key, other_key

SELECT DISTINCT key_hash, usage_date
FROM (FROM own_key UNION ALL FROM other_key)
WHERE void_hash IN (
    SELECT key_hash FROM own_key
    UNION ALL
    SELECT corrects_hash FROM own_key WHERE corrects_hash IS NOT NULL
)
ORDER BY ALL
