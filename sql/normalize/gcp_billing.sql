-- Rows of Google Cloud's billing export -> charges. `cost` is before credits, and credits are negative: they are summed
-- row by row, so that a row with several stays one row. Both billed and effective cost are net of all credits.
--
-- grain:   x_row
-- inputs:  raw, service_category

WITH line AS (
    SELECT *, list_filter(json_extract_string(credits, '$[*].amount'), lambda one: one IS NOT NULL) AS amounts
    FROM raw
),

summed AS (
    SELECT
        *,
        amount_sum(amounts) AS summed_credits,
        coalesce(summed_credits, 0)::DECIMAL(38,18) AS credited,
        try_strptime(invoice_month || '01', '%Y%m%d') AS month_start,
        coalesce(service_description, 'Google Cloud') AS service_name,
        CASE cost_type
            WHEN 'regular' THEN 'Usage' WHEN 'tax' THEN 'Tax' ELSE 'Adjustment'
        END AS charge_category
    FROM line
)

SELECT
    x_row,
    zone AS availability_zone,
    cost + credited AS billed_cost,
    billing_account_id,
    'Billing Account' AS billing_account_type,
    currency AS billing_currency,
    month_start AS billing_period_start,
    month_start + INTERVAL 1 MONTH AS billing_period_end,
    charge_category,
    -- an adjustment of usage whose month was invoiced before
    CASE WHEN charge_category = 'Adjustment' AND usage_end_time <= month_start AND usage_start_time < month_start
        THEN 'Correction' END AS charge_class,
    sku_description AS charge_description,
    CASE WHEN charge_category = 'Usage' THEN 'Usage-Based' ELSE 'One-Time' END AS charge_frequency,
    usage_start_time AS charge_period_start,
    usage_end_time AS charge_period_end,
    CASE WHEN charge_category = 'Usage' THEN usage_amount END AS consumed_quantity,
    CASE WHEN charge_category = 'Usage' THEN usage_unit END AS consumed_unit,
    cost AS contracted_cost,
    cost + credited AS effective_cost,
    coalesce(seller_name, 'Google Cloud') AS invoice_issuer_name,
    coalesce(cost_at_list, cost) AS list_cost,
    CASE WHEN charge_category = 'Usage' THEN 'Standard' END AS pricing_category,
    CASE WHEN charge_category = 'Usage' THEN pricing_amount END AS pricing_quantity,
    CASE WHEN charge_category = 'Usage' THEN pricing_unit END AS pricing_unit,
    'Google Cloud' AS provider_name,
    coalesce(seller_name, 'Google Cloud') AS publisher_name,
    coalesce(region, location) AS region_id,
    coalesce(region, location) AS region_name,
    resource_global_name AS resource_id,
    resource_name,
    CASE WHEN resource_global_name IS NOT NULL THEN service_name END AS resource_type,
    coalesce(by_name.category, 'Other') AS service_category,
    summed.service_name,
    'Other (' || coalesce(by_name.category, 'Other') || ')' AS service_subcategory,
    CASE WHEN charge_category <> 'Tax' THEN sku_id END AS sku_id,
    CASE WHEN charge_category <> 'Tax' AND sku_id IS NOT NULL THEN sku_description END AS sku_meter,
    project_id AS sub_account_id,
    CASE WHEN project_id IS NOT NULL THEN coalesce(project_name, project_id) END AS sub_account_name,
    CASE WHEN project_id IS NOT NULL THEN 'Project' END AS sub_account_type,
    pairs_object(list_concat(
        coalesce(label_pairs(labels, ''), []), coalesce(label_pairs(project_labels, 'project/'), [])
    )) AS tags,
    service_id AS x_service_id,
    adjustment_type AS x_operation,
    credited AS x_source_credits,
    CASE
        WHEN month_start IS NULL THEN 'time_not_readable:invoice_month'
        WHEN credits[1] = '{' AND credits <> '{}' THEN 'not_json:credits'  -- a list is what is summed
        WHEN len(amounts) > 0 AND summed_credits IS NULL THEN coalesce(list_transform(
            list_filter(amounts, lambda one: long_amount(one) IS NULL), lambda one: amount_problem(one)
        )[1], 'amount_too_large') || ':credits'
    END AS row_problem,
    map_from_entries(list_filter([
        CASE WHEN cost_at_list IS NULL THEN {'key': 'filled:list_cost', 'value': ''} END,
        CASE WHEN by_name.category IS NULL THEN {'key': 'filled:service_category', 'value': ''} END
    ], lambda one: one IS NOT NULL)) AS x_changes
FROM summed
LEFT JOIN service_category by_name ON by_name.service = lower(summed.service_name)
