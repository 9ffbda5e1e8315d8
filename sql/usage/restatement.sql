-- Daily totals that differ from the published ones.
--
-- grain:   usage_date, stream, tenant_id, meter, unit, sku_id, region_id, labels
-- inputs:  published_daily, usage_daily
-- params:  replaced (release of the published totals), cause

SELECT
    coalesce(new.usage_date, old.usage_date) AS usage_date,
    coalesce(new.stream, old.stream) AS stream,
    $replaced AS replaced,
    coalesce(new.tenant_id, old.tenant_id) AS tenant_id,
    coalesce(new.meter, old.meter) AS meter,
    coalesce(new.unit, old.unit) AS unit,
    coalesce(new.sku_id, old.sku_id) AS sku_id,
    coalesce(new.region_id, old.region_id) AS region_id,
    coalesce(new.labels, old.labels) AS labels,
    coalesce(old.quantity, 0)::DECIMAL(38,9) AS old_quantity,
    coalesce(new.quantity, 0)::DECIMAL(38,9) AS new_quantity,
    (coalesce(new.quantity, 0) - coalesce(old.quantity, 0))::DECIMAL(38,9) AS difference,
    $cause AS cause
FROM usage_daily new
FULL JOIN published_daily old
    ON (new.tenant_id, new.meter, new.unit, new.sku_id, new.region_id, new.labels)
    IS NOT DISTINCT FROM (old.tenant_id, old.meter, old.unit, old.sku_id, old.region_id, old.labels)
WHERE (new.quantity, new.weighted_quantity, new.events)
    IS DISTINCT FROM (old.quantity, old.weighted_quantity, old.events)
