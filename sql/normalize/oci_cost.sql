-- Rows of an Oracle Cloud cost report -> charges. `myCost` includes overage already; a correction is a further row.
--
-- grain:   x_row
-- inputs:  raw, service_category

WITH line AS (
    SELECT
        *,
        date_trunc('month', usage_start)::TIMESTAMP AS month_start,
        lower(is_correction) = 'true' AS corrects,
        amount_product(unit_price, billed_quantity) AS list,
        coalesce(currency_code, x_currency) AS currency  -- that of all other lines of the report; never a guess
    FROM raw
)

SELECT
    x_row,
    availability_domain AS availability_zone,
    coalesce(my_cost, 0) AS billed_cost,
    tenant_id AS billing_account_id,
    'Tenancy' AS billing_account_type,
    currency AS billing_currency,
    month_start AS billing_period_start,
    month_start + INTERVAL 1 MONTH AS billing_period_end,
    'Usage' AS charge_category,
    CASE WHEN corrects THEN 'Correction' END AS charge_class,
    description AS charge_description,
    'Usage-Based' AS charge_frequency,
    usage_start AS charge_period_start,
    usage_end AS charge_period_end,
    billed_quantity AS consumed_quantity,
    sku_unit AS consumed_unit,
    coalesce(list, my_cost, 0) AS contracted_cost,
    unit_price AS contracted_unit_price,
    coalesce(my_cost, 0) AS effective_cost,
    'Oracle' AS invoice_issuer_name,
    coalesce(list, my_cost, 0) AS list_cost,
    unit_price AS list_unit_price,
    'Standard' AS pricing_category,
    billed_quantity AS pricing_quantity,
    sku_unit AS pricing_unit,
    'Oracle' AS provider_name,
    'Oracle' AS publisher_name,
    region AS region_id,
    region AS region_name,
    resource_id,
    CASE WHEN resource_id IS NOT NULL THEN line.service END AS resource_type,
    coalesce(by_name.category, 'Other') AS service_category,
    coalesce(line.service, 'Unknown') AS service_name,
    'Other (' || coalesce(by_name.category, 'Other') || ')' AS service_subcategory,
    product_sku AS sku_id,
    CASE WHEN product_sku IS NOT NULL THEN description END AS sku_meter,
    compartment_id AS sub_account_id,
    CASE WHEN compartment_id IS NOT NULL THEN coalesce(compartment_name, compartment_id) END AS sub_account_name,
    CASE WHEN compartment_id IS NOT NULL THEN 'Compartment' END AS sub_account_type,
    tags,
    subscription_id AS x_service_id,
    backreference_no AS x_operation,
    reference_no AS x_row_key,
    map_from_entries(list_filter([
        CASE WHEN my_cost IS NULL THEN {'key': 'filled:billed_cost', 'value': ''} END,
        CASE WHEN currency_code IS NULL THEN {'key': 'filled:billing_currency', 'value': ''} END,
        CASE WHEN list IS NOT NULL THEN {'key': 'derived:list_cost', 'value': ''} END,
        CASE WHEN line.service IS NULL THEN {'key': 'filled:service_name', 'value': ''} END,
        CASE WHEN by_name.category IS NULL THEN {'key': 'filled:service_category', 'value': ''} END
    ], lambda one: one IS NOT NULL)) AS x_changes
FROM line
LEFT JOIN service_category by_name ON by_name.service = lower(line.service)
