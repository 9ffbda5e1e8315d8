-- Other usage dates that share an identity with this one, or hold a correction of it.
--
-- grain:   usage_date x landed_date
-- inputs:  own_key, other_key

SELECT DISTINCT usage_date, landed_date
FROM other_key
WHERE key_hash IN (SELECT key_hash FROM own_key)
    OR corrects_hash IN (SELECT key_hash FROM own_key)
    OR corrects_hash IN (SELECT corrects_hash FROM own_key WHERE corrects_hash IS NOT NULL)
ORDER BY ALL
