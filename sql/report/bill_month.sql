-- A month of a provider by service: four costs, and what the newest restatement changed of the billed one.
--
-- grain:   provider, billing_period, service_name, currency
-- inputs:  charge_daily, charge_restatement
-- params:  period

WITH month AS (
    SELECT
        provider,
        billing_period,
        service_name,
        billing_currency AS currency,
        sum(list_cost)::DECIMAL(38,18) AS list_cost,
        sum(contracted_cost)::DECIMAL(38,18) AS contracted_cost,
        sum(billed_cost)::DECIMAL(38,18) AS billed_cost,
        sum(effective_cost)::DECIMAL(38,18) AS effective_cost,
        sum(charges)::BIGINT AS charges
    FROM charge_daily
    WHERE billing_period = $period
    GROUP BY ALL
),

newest AS (
    SELECT
        provider,
        service_name,
        billing_currency AS currency,
        sum(billed_difference)::DECIMAL(38,18) AS moved
    FROM (
        FROM charge_restatement
        WHERE billing_period = $period
        QUALIFY replaced = max(replaced) OVER (PARTITION BY stream)
    )
    GROUP BY ALL
)

SELECT
    month.*,
    coalesce(newest.moved, 0)::DECIMAL(38,18) AS moved
FROM month
LEFT JOIN newest USING (provider, service_name, currency)
ORDER BY ALL
