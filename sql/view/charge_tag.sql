-- One tag of one charge, so that nobody has to unnest JSON: join or filter by key. A charge stands here once a tag:
-- sum costs of one key at a time. Of a key that stands twice the first one counts.
--
-- grain:   x_stream, x_delivery, x_object_key, x_row, tag_key
-- inputs:  charge

SELECT
    x_provider,
    x_billing_period,
    x_stream,
    x_delivery,
    x_object_key,
    x_row,
    pair.key AS tag_key,
    pair.value AS tag_value,
    charge_period_start,
    billing_account_id,
    sub_account_id,
    service_name,
    billing_currency,
    billed_cost,
    effective_cost
FROM charge,
    unnest(list_filter(
        map_entries(from_json(tags, '"MAP(VARCHAR, VARCHAR)"')),
        lambda one, n: list_position(json_keys(tags), one.key) = n
    )) pairs(pair)
WHERE tags IS NOT NULL
