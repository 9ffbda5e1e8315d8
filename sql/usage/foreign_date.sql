-- Other usage dates that share an identity with this one, hold a correction of it, or share the identity of
-- such a correction; or hold the target of an adjust of this one that is voided, as far as the void may reach.
--
-- grain:   usage_date x landed_date
-- inputs:  own_key, other_key

WITH voided AS (
    SELECT void_hash FROM (FROM own_key UNION ALL FROM other_key) WHERE void_hash IS NOT NULL
),

related AS (
    SELECT * FROM other_key
    WHERE key_hash IN (SELECT key_hash FROM own_key)
        OR corrects_hash IN (SELECT key_hash FROM own_key)
        OR corrects_hash IN (SELECT corrects_hash FROM own_key WHERE corrects_hash IS NOT NULL)
        OR key_hash IN (SELECT corrects_hash FROM own_key WHERE void_hash IS NULL AND corrects_hash IN (FROM voided))
)

SELECT DISTINCT usage_date, landed_date
FROM other_key
WHERE key_hash IN (SELECT key_hash FROM related)
ORDER BY ALL
