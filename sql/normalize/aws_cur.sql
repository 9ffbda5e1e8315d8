-- Lines of an AWS Cost and Usage Report (2.0 or legacy) -> charges.
--
-- Costs by line type as AWS documents them (user guide, "Understanding your savings plans"): what a plan covers carries
-- its price on demand and a negation takes that back, neither is billed; fees are billed, and effective in their unused
-- part. Where an account has a discount all costs are net ones; the discount's own lines count without net columns
-- (user guide, "Discount columns": manual discount compatibility), an empty net cost of theirs is zero (docs/billing.md).
--
-- grain:   x_row
-- inputs:  raw, service_category

WITH line AS (
    SELECT
        *,
        line_item_line_item_type AS type,
        type LIKE '%Discount' AS is_discount,  -- "the specific name might vary" (user guide, "Line item columns")
        is_discount AND line_item_net_unblended_cost IS NULL AND 'line_item_net_unblended_cost' IN x_delivered AS netted,
        CASE WHEN netted THEN 0 ELSE coalesce(line_item_net_unblended_cost, line_item_unblended_cost, 0) END AS cost,
        coalesce(product_name, product ->> 'product_name', line_item_product_code, 'Unknown') AS service,
        type IN ('Usage', 'DiscountedUsage', 'SavingsPlanCoveredUsage') AS is_usage,
        coalesce(product_region_code, nullif(coalesce(product_region, nullif(product ->> 'region', '')), 'global')) AS region,
        type = 'Refund' AND line_item_line_item_description LIKE 'Refund for one-time fee for Savings Plan%' AS is_return,
        coalesce(savings_plan_total_commitment, 0) - coalesce(savings_plan_used_commitment, 0) AS unused_commitment,
        CASE WHEN type = 'SavingsPlanRecurringFee' THEN amount_ratio(
            list_sum([savings_plan_net_amortized_upfront_commitment, savings_plan_net_recurring_commitment]),
            list_sum([savings_plan_amortized_upfront_commitment, savings_plan_recurring_commitment])
        ) END AS net_of_plan
    FROM raw
),

costed AS (
    SELECT
        line.*,
        coalesce(by_name.category, by_code.category) AS known_category,
        CASE WHEN type IN ('SavingsPlanCoveredUsage', 'SavingsPlanNegation') THEN 0 ELSE cost END AS billed,
        -- taxes, fees and credits have no price on demand: that is zero where the export knows no empty value
        CASE WHEN pricing_public_on_demand_cost <> 0 OR billed = 0 THEN pricing_public_on_demand_cost END AS listed,
        CASE WHEN is_usage THEN 'Usage'
            WHEN type IN ('Fee', 'RIFee', 'FlatRateSubscription') OR (type LIKE 'SavingsPlan%Fee') THEN 'Purchase'
            WHEN type IN ('Tax', 'Credit') THEN type ELSE 'Adjustment' END AS category,
        reservation_arn IS NOT NULL OR savings_plan_arn IS NOT NULL AS is_committed
    FROM line
    LEFT JOIN service_category by_name ON by_name.service = lower(line.service)
    LEFT JOIN service_category by_code ON by_code.service = lower(line_item_product_code)
)

SELECT
    x_row,
    line_item_availability_zone AS availability_zone,
    billed AS billed_cost,
    bill_payer_account_id AS billing_account_id,
    bill_payer_account_name AS billing_account_name,
    'Management Account' AS billing_account_type,
    line_item_currency_code AS billing_currency,
    bill_billing_period_start_date AS billing_period_start,
    bill_billing_period_end_date AS billing_period_end,
    category AS charge_category,
    CASE WHEN type = 'Refund' THEN 'Correction' END AS charge_class,
    line_item_line_item_description AS charge_description,
    CASE WHEN is_usage OR type = 'SavingsPlanNegation' THEN 'Usage-Based'
        WHEN type IN ('RIFee', 'SavingsPlanRecurringFee', 'FlatRateSubscription') THEN 'Recurring' ELSE 'One-Time'
    END AS charge_frequency,
    line_item_usage_start_date AS charge_period_start,
    line_item_usage_end_date AS charge_period_end,
    CASE WHEN savings_plan_arn IS NOT NULL THEN 'Spend' WHEN is_committed THEN 'Usage' END
        AS commitment_discount_category,
    coalesce(savings_plan_arn, reservation_arn) AS commitment_discount_id,
    CASE WHEN is_committed AND is_usage THEN 'Used' END AS commitment_discount_status,
    CASE WHEN savings_plan_arn IS NOT NULL THEN 'Savings Plan' WHEN is_committed THEN 'Reserved' END
        AS commitment_discount_type,
    CASE WHEN is_usage THEN line_item_usage_amount END AS consumed_quantity,
    CASE WHEN is_usage THEN pricing_unit END AS consumed_unit,
    CASE WHEN type = 'SavingsPlanNegation' THEN 0
        WHEN type = 'DiscountedUsage' THEN coalesce(pricing_public_on_demand_cost, cost) ELSE cost END AS contracted_cost,
    CASE WHEN type = 'SavingsPlanCoveredUsage'
        THEN coalesce(savings_plan_net_effective_cost, savings_plan_effective_cost, 0)
        WHEN type = 'SavingsPlanRecurringFee' AND net_of_plan IS NULL THEN unused_commitment
        WHEN type = 'SavingsPlanRecurringFee' THEN amount_product(net_of_plan, unused_commitment)
        WHEN is_return OR type IN ('SavingsPlanUpfrontFee', 'SavingsPlanNegation') THEN 0
        WHEN type = 'DiscountedUsage' THEN coalesce(reservation_net_effective_cost, reservation_effective_cost, 0)
        WHEN type = 'RIFee'
        THEN coalesce(reservation_net_unused_amortized_upfront_fee, reservation_unused_amortized_upfront_fee, 0)
            + coalesce(reservation_net_unused_recurring_fee, reservation_unused_recurring_fee, 0)
        WHEN type = 'Fee' AND reservation_arn IS NOT NULL THEN 0 ELSE billed
    END AS effective_cost,
    bill_invoice_id AS invoice_id,
    coalesce(bill_invoicing_entity, 'AWS') AS invoice_issuer_name,
    CASE WHEN type = 'SavingsPlanNegation' OR is_discount THEN 0 ELSE coalesce(listed, billed) END AS list_cost,
    CASE WHEN is_usage THEN nullif(pricing_public_on_demand_rate, if(listed IS NULL, 0, NULL)) END AS list_unit_price,
    CASE WHEN category NOT IN ('Usage', 'Purchase') THEN NULL WHEN is_committed AND is_usage THEN 'Committed'
        WHEN pricing_term = 'Spot' OR line_item_usage_type LIKE '%SpotUsage%' THEN 'Dynamic' ELSE 'Standard'
    END AS pricing_category,
    CASE WHEN category IN ('Usage', 'Purchase') THEN line_item_usage_amount END AS pricing_quantity,
    CASE WHEN category IN ('Usage', 'Purchase') THEN pricing_unit END AS pricing_unit,
    'AWS' AS provider_name,
    coalesce(line_item_legal_entity, 'AWS') AS publisher_name,
    region AS region_id, region AS region_name,  -- lines of data transfer have a region without a code
    line_item_resource_id AS resource_id,
    CASE WHEN line_item_resource_id IS NOT NULL THEN coalesce(product_family, service) END AS resource_type,
    coalesce(known_category, 'Other') AS service_category,
    service AS service_name,
    'Other (' || coalesce(known_category, 'Other') || ')' AS service_subcategory,
    CASE WHEN category <> 'Tax' THEN product_sku END AS sku_id,
    CASE WHEN category <> 'Tax' AND product_sku IS NOT NULL THEN line_item_usage_type END AS sku_meter,
    CASE WHEN category <> 'Tax' AND product_sku IS NOT NULL THEN pricing_rate_code END AS sku_price_id,
    line_item_usage_account_id AS sub_account_id,
    coalesce(line_item_usage_account_name, line_item_usage_account_id) AS sub_account_name,
    'Account' AS sub_account_type,
    tags,
    line_item_product_code AS x_service_id,
    line_item_operation AS x_operation,
    identity_line_item_id || ' ' || identity_time_interval AS x_row_key,
    map_from_entries(list_filter([
        CASE WHEN netted THEN {'key': 'netted:billed_cost', 'value': line_item_unblended_cost::VARCHAR} END,
        CASE WHEN listed IS NULL AND type <> 'SavingsPlanNegation' AND NOT is_discount
        THEN {'key': 'filled:list_cost', 'value': ''} END,
        CASE WHEN net_of_plan IS NOT NULL THEN {'key': 'derived:effective_cost', 'value': ''} END,
        CASE WHEN known_category IS NULL THEN {'key': 'filled:service_category', 'value': ''} END,
        CASE WHEN line_item_usage_account_name IS NULL THEN {'key': 'filled:sub_account_name', 'value': ''} END
    ], lambda one: one IS NOT NULL)) AS x_changes
FROM costed
