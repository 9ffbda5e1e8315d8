-- Voids on other partitions under an identity that a changed record claims: whether they cancel may be decided anew.
--
-- grain:   key_hash
-- inputs:  old_key, new_key (index of the changed partitions before and after), live_key (index of others)

SELECT DISTINCT key_hash
FROM live_key
WHERE void_hash IS NOT NULL AND key_hash IN (SELECT key_hash FROM (FROM new_key UNION ALL FROM old_key))
ORDER BY ALL
