-- Usage dates on which an identity of a void is claimed, within reach of the void.
--
-- grain:   usage_date x landed_date
-- inputs:  far_void, far_key (index of the dates that this usage date does not reach)
-- params:  reach (days within which records may repeat one another)

SELECT DISTINCT far_key.usage_date, far_key.landed_date
FROM far_key
JOIN far_void USING (key_hash)
WHERE abs(far_key.usage_date - far_void.usage_date) <= $reach
ORDER BY ALL
