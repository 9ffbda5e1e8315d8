-- Lines of an Azure Cost Management export, of actual or amortized cost -> charges.
--
-- Both are views of the same money. Actual cost gives what is billed, and what is effective of lines that no
-- commitment touches; amortized cost gives what is effective of lines under a commitment, and only mirrors the rest.
-- Prices are in the pricing currency, which is not always the billing one: what is made of them is converted at the rate
-- of the line, as costs are (Microsoft, "Understand cost details fields": price x quantity x ExchangeRatePricingToBilling).
--
-- grain:   x_row
-- inputs:  raw, service_category

WITH line AS (
    SELECT
        *,
        x_dataset = 'AmortizedCost' AS is_amortized,
        coalesce(charge_type, 'Usage') AS kind,
        coalesce(pricing_model IN ('Reservation', 'SavingsPlan'), false)
        OR coalesce(charge_type IN ('UnusedReservation', 'UnusedSavingsPlan'), false) AS is_committed,
        coalesce(benefit_id, reservation_id) AS commitment,
        -- the period of a pay-as-you-go account may begin on any day, its exports hold calendar months all the same
        CASE WHEN day(billing_period_start_date) = 1 THEN billing_period_start_date
            ELSE date_trunc('month', charge_date)::TIMESTAMP END AS month_start,
        coalesce(billing_profile_id, billing_account_id, subscription_id) AS account,
        CASE WHEN pricing_currency <> billing_currency THEN exchange_rate ELSE 1 END AS rate
    FROM raw
),

sorted AS (
    SELECT
        *,
        CASE
            WHEN kind IN ('Usage', 'UnusedReservation', 'UnusedSavingsPlan') THEN 'Usage'
            WHEN kind IN ('Purchase', 'Tax', 'Credit') THEN kind
            WHEN kind = 'Refund' THEN 'Purchase' ELSE 'Adjustment' END AS charge_category,
        kind <> 'Tax' AND NOT is_amortized AS has_price,
        CASE WHEN is_amortized AND kind NOT LIKE 'Unused%' THEN 0 ELSE quantity END AS priced_quantity,
        coalesce(nullif(payg_cost, 0), converted_amount(amount_product(nullif(pay_g_price, 0), quantity), rate)) AS list,
        converted_amount(amount_product(nullif(unit_price, 0), quantity), rate) AS contracted
    FROM line
)

SELECT
    x_row,
    is_amortized AND NOT is_committed AS is_mirror,
    availability_zone,
    CASE WHEN is_amortized THEN 0 ELSE cost END AS billed_cost,
    account AS billing_account_id,
    coalesce(billing_profile_name, billing_account_name) AS billing_account_name,
    CASE WHEN billing_profile_id IS NOT NULL AND billing_profile_id <> coalesce(billing_account_id, '')
        THEN 'Billing Profile' ELSE 'Billing Account' END AS billing_account_type,
    billing_currency,
    month_start AS billing_period_start,
    month_start + INTERVAL 1 MONTH AS billing_period_end,
    charge_category,
    CASE WHEN kind = 'Refund' THEN 'Correction' END AS charge_class,
    product AS charge_description,
    CASE frequency WHEN 'UsageBased' THEN 'Usage-Based' WHEN 'OneTime' THEN 'One-Time' WHEN 'Recurring' THEN 'Recurring' END
        AS charge_frequency,
    charge_date AS charge_period_start,
    charge_date + INTERVAL 1 DAY AS charge_period_end,
    CASE WHEN commitment IS NULL THEN NULL WHEN pricing_model = 'SavingsPlan' THEN 'Spend' ELSE 'Usage' END
        AS commitment_discount_category,
    commitment AS commitment_discount_id,
    coalesce(benefit_name, reservation_name) AS commitment_discount_name,
    CASE WHEN commitment IS NULL OR charge_category <> 'Usage' THEN NULL
        WHEN kind LIKE 'Unused%' THEN 'Unused' ELSE 'Used' END AS commitment_discount_status,
    CASE WHEN commitment IS NULL THEN NULL WHEN pricing_model = 'SavingsPlan' THEN 'Savings Plan' ELSE 'Reservation' END
        AS commitment_discount_type,
    -- of usage under a commitment the amortized line counts the quantity, the actual one (of no cost) does not
    CASE WHEN kind = 'Usage' AND (is_amortized OR NOT is_committed) THEN quantity END AS consumed_quantity,
    CASE WHEN kind = 'Usage' AND (is_amortized OR NOT is_committed) THEN unit_of_measure END AS consumed_unit,
    CASE WHEN is_amortized THEN 0 ELSE coalesce(contracted, cost) END AS contracted_cost,
    -- list and contracted cost, and the prices and the quantity that they are made of, stand on the actual line
    CASE WHEN has_price THEN converted_amount(unit_price, rate) END AS contracted_unit_price,
    CASE WHEN is_amortized OR NOT is_committed THEN cost ELSE 0 END AS effective_cost,
    invoice_id,
    'Microsoft' AS invoice_issuer_name,
    CASE WHEN is_amortized THEN 0 ELSE coalesce(list, contracted, cost) END AS list_cost,
    CASE WHEN has_price THEN converted_amount(nullif(pay_g_price, 0), rate) END AS list_unit_price,
    CASE WHEN charge_category = 'Usage' AND is_committed THEN 'Committed' WHEN charge_category NOT IN ('Usage', 'Purchase')
        THEN NULL WHEN pricing_model = 'Spot' THEN 'Dynamic' ELSE 'Standard' END AS pricing_category,
    pricing_currency,
    CASE WHEN has_price AND pricing_currency IS NOT NULL THEN unit_price END AS pricing_currency_contracted_unit_price,
    CASE WHEN has_price AND pricing_currency IS NOT NULL THEN nullif(pay_g_price, 0) END
        AS pricing_currency_list_unit_price,
    CASE WHEN charge_category IN ('Usage', 'Purchase') THEN priced_quantity END AS pricing_quantity,
    CASE WHEN charge_category IN ('Usage', 'Purchase') THEN unit_of_measure END AS pricing_unit,
    'Microsoft' AS provider_name,
    coalesce(publisher_name, CASE WHEN publisher_type IS NULL OR publisher_type IN ('Azure', 'Microsoft')
        THEN 'Microsoft' ELSE publisher_type END) AS publisher_name,
    lower(replace(resource_location, ' ', '')) AS region_id,
    resource_location AS region_name,
    lower(resource_id) AS resource_id,
    resource_name,
    coalesce(resource_type, nullif(regexp_extract(lower(resource_id), '.*/providers/([^/]+/[^/]+)/', 1), ''),
        CASE WHEN resource_id IS NOT NULL THEN coalesce(consumed_service, meter_category) END) AS resource_type,
    coalesce(by_name.category, 'Other') AS service_category,
    coalesce(meter_category, 'Unknown') AS service_name,
    'Other (' || coalesce(by_name.category, 'Other') || ')' AS service_subcategory,
    CASE WHEN charge_category <> 'Tax' THEN coalesce(product_id, meter_id) END AS sku_id,
    CASE WHEN charge_category <> 'Tax' AND coalesce(product_id, meter_id) IS NOT NULL THEN meter_name END AS sku_meter,
    subscription_id AS sub_account_id,
    CASE WHEN subscription_id IS NOT NULL THEN coalesce(subscription_name, subscription_id) END AS sub_account_name,
    CASE WHEN subscription_id IS NOT NULL THEN 'Subscription' END AS sub_account_type,
    tags,
    consumed_service AS x_service_id,
    meter_name AS x_operation,
    map_from_entries(list_filter([
        CASE WHEN list IS NULL AND NOT is_amortized THEN {'key': 'filled:list_cost', 'value': ''} END,
        CASE WHEN coalesce(payg_cost, 0) = 0 AND list IS NOT NULL THEN {'key': 'derived:list_cost', 'value': ''} END,
        CASE WHEN contracted IS NULL AND NOT is_amortized THEN {'key': 'filled:contracted_cost', 'value': ''} END,
        CASE WHEN rate <> 1 AND contracted IS NOT NULL AND NOT is_amortized
        THEN {'key': 'converted:contracted_cost', 'value': rate::VARCHAR} END,
        CASE WHEN is_committed AND NOT is_amortized THEN {'key': 'elsewhere:effective_cost', 'value': ''} END,
        CASE WHEN resource_id <> lower(resource_id) THEN {'key': 'lowered:resource_id', 'value': resource_id} END,
        CASE WHEN charge_type IS NULL THEN {'key': 'filled:charge_category', 'value': ''} END,
        CASE WHEN meter_category IS NULL THEN {'key': 'filled:service_name', 'value': ''} END,
        CASE WHEN by_name.category IS NULL THEN {'key': 'filled:service_category', 'value': ''} END
    ], lambda one: one IS NOT NULL)) AS x_changes
FROM sorted
LEFT JOIN service_category by_name ON by_name.service = lower(sorted.meter_category)
