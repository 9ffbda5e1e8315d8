-- Costs of a month by day and what was sold to whom; every charge is in exactly one row.
--
-- grain:   provider, billing_period, stream, charge_date, billing_account_id, sub_account_id, service_name,
--          sku_id, region_id, charge_category, billing_currency
-- inputs:  charge

SELECT
    x_provider AS provider,
    x_billing_period AS billing_period,
    x_stream AS stream,
    charge_period_start::DATE AS charge_date,
    billing_account_id,
    sub_account_id,
    service_name,
    sku_id,
    region_id,
    charge_category,
    billing_currency,
    sum(list_cost)::DECIMAL(38,18) AS list_cost,
    sum(contracted_cost)::DECIMAL(38,18) AS contracted_cost,
    sum(billed_cost)::DECIMAL(38,18) AS billed_cost,
    sum(effective_cost)::DECIMAL(38,18) AS effective_cost,
    count(*) AS charges
FROM charge
GROUP BY ALL
