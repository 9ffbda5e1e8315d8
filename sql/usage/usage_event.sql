-- One row per measure of an identity: the first delivery, unless a void cancelled it.
--
-- grain:   idempotency_key
-- inputs:  arrival, duplicate_row, correction_row

SELECT *
FROM arrival
ANTI JOIN duplicate_row USING (raw_object_key, raw_line)
ANTI JOIN correction_row USING (raw_object_key, raw_line)
