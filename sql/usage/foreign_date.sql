-- Other usage dates that share an identity with this one, hold a correction of it, or share the identity of
-- such a correction.
--
-- grain:   usage_date x landed_date
-- inputs:  own_key, other_key

WITH related AS (
    SELECT * FROM other_key
    WHERE key_hash IN (SELECT key_hash FROM own_key)
        OR corrects_hash IN (SELECT key_hash FROM own_key)
        OR corrects_hash IN (SELECT corrects_hash FROM own_key WHERE corrects_hash IS NOT NULL)
)

SELECT DISTINCT usage_date, landed_date
FROM other_key
WHERE key_hash IN (SELECT key_hash FROM related)
ORDER BY ALL
