-- Measures of the identities that more than one delivered record may claim, wherever they count, in slices: all
-- of an identity is in one slice, and each slice is compared for itself, however many repeats a day holds.
--
-- grain:   idempotency_key x delivery (object and line)
-- inputs:  arrival (this usage date), foreign_arrival (other usage dates), rival_hash
-- params:  slices

SELECT
    hash(record_key) % $slices AS slice,
    of_this_date,
    stream, record_key, record_kind, corrects_key, tenant_id, attribution, billing_account_id, sub_account_id,
    principal_hash, service_name, resource_id, resource_type, meter, quantity, unit, sample_weight, period_start,
    period_end, usage_date, delivered_at, region_id, labels, raw_object_key, raw_line
FROM (
    SELECT *, true AS of_this_date FROM arrival
    UNION ALL
    SELECT *, false FROM foreign_arrival
)
WHERE hash(record_key) IN (SELECT key_hash FROM rival_hash)

ORDER BY slice
