-- Accounts, subscriptions, projects and compartments that were charged for, by the name they had last.
--
-- grain:   provider_name, billing_account_id, sub_account_id
-- inputs:  charge

SELECT
    provider_name,
    billing_account_id,
    sub_account_id,
    arg_max(sub_account_name, charge_period_start) AS sub_account_name,
    max(sub_account_type) AS sub_account_type,
    min(charge_period_start)::DATE AS first_date,
    max(charge_period_start)::DATE AS last_date,
    count(*) AS charges
FROM charge
WHERE sub_account_id IS NOT NULL
GROUP BY ALL
