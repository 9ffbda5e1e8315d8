-- A month of a provider by service: four costs, and what the newest restatement changed of the billed one.
--
-- grain:   provider, billing_period, service_name, currency
-- inputs:  charge_daily, charge_restatement, delivery
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

-- what had moved before another export took the month over is not the newest
went_over AS (
    SELECT stream FROM delivery WHERE billing_period = $period AND reason = 'taken_over'
    EXCEPT
    SELECT stream FROM charge_daily WHERE billing_period = $period
),

newest AS (
    SELECT
        provider,
        service_name,
        billing_currency AS currency,
        sum(billed_difference)::DECIMAL(38,18) AS moved
    FROM (
        FROM charge_restatement
        WHERE billing_period = $period AND stream NOT IN (SELECT stream FROM went_over)
        QUALIFY replaced = max(replaced) OVER (PARTITION BY stream)
    )
    GROUP BY ALL
)

SELECT
    provider,
    $period AS billing_period,
    service_name,
    currency,
    coalesce(list_cost, 0)::DECIMAL(38,18) AS list_cost,
    coalesce(contracted_cost, 0)::DECIMAL(38,18) AS contracted_cost,
    coalesce(billed_cost, 0)::DECIMAL(38,18) AS billed_cost,
    coalesce(effective_cost, 0)::DECIMAL(38,18) AS effective_cost,
    coalesce(charges, 0)::BIGINT AS charges,
    coalesce(moved, 0)::DECIMAL(38,18) AS moved
FROM month
FULL JOIN newest USING (provider, service_name, currency)  -- what went from the month moved too
ORDER BY ALL
