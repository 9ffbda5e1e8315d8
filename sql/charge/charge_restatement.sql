-- Costs of a published month that moved, each of the four, by account, service and day. Lines are told apart by the
-- provider's own key where it gives one, else by their number a delivery: then none counts as changed. Where one side
-- alone has a key, its lines count as the same as lines of the same costs that the other side alone has under another
-- key: AWS does not promise to keep its keys from one delivery to the next.
--
-- grain:   provider, billing_period, stream, charge_date, billing_account_id, sub_account_id, service_name,
--          billing_currency
-- inputs:  charge, published_charge
-- params:  stream (contract that holds the month now), replaced (release of the published costs),
--          closed (1 or 0), cause

WITH place AS (
    SELECT
        x_provider AS provider, x_billing_period AS billing_period,
        charge_period_start::DATE AS charge_date, billing_account_id, sub_account_id, service_name,
        billing_currency, x_row_key, billed_cost, effective_cost, list_cost, contracted_cost, 1 AS is_new
    FROM charge
    UNION ALL
    SELECT
        x_provider, x_billing_period, charge_period_start::DATE, billing_account_id, sub_account_id, service_name,
        billing_currency, x_row_key, billed_cost, effective_cost, list_cost, contracted_cost, 0
    FROM published_charge
),

-- one row a key: where a key stands several times on one side, its lines are counted together
keyed AS (
    SELECT
        provider, billing_period, charge_date, billing_account_id, sub_account_id, service_name,
        billing_currency,
        coalesce(x_row_key, '') AS row_key,
        x_row_key IS NOT NULL AS has_key,
        count(*) FILTER (is_new = 1) AS new_rows,
        count(*) FILTER (is_new = 0) AS old_rows,
        coalesce(sum(billed_cost) FILTER (is_new = 0), 0)::DECIMAL(38,18) AS old_billed_cost,
        coalesce(sum(billed_cost) FILTER (is_new = 1), 0)::DECIMAL(38,18) AS new_billed_cost,
        coalesce(sum(effective_cost) FILTER (is_new = 0), 0)::DECIMAL(38,18) AS old_effective_cost,
        coalesce(sum(effective_cost) FILTER (is_new = 1), 0)::DECIMAL(38,18) AS new_effective_cost,
        coalesce(sum(list_cost) FILTER (is_new = 0), 0)::DECIMAL(38,18) AS old_list_cost,
        coalesce(sum(list_cost) FILTER (is_new = 1), 0)::DECIMAL(38,18) AS new_list_cost,
        coalesce(sum(contracted_cost) FILTER (is_new = 0), 0)::DECIMAL(38,18) AS old_contracted_cost,
        coalesce(sum(contracted_cost) FILTER (is_new = 1), 0)::DECIMAL(38,18) AS new_contracted_cost
    FROM place
    GROUP BY ALL
),

paired AS (
    SELECT
        provider, billing_period, charge_date, billing_account_id, sub_account_id, service_name,
        billing_currency,
        CASE WHEN has_key AND (old_rows = 0 OR new_rows = 0) THEN (
            old_billed_cost + new_billed_cost, old_effective_cost + new_effective_cost,
            old_list_cost + new_list_cost, old_contracted_cost + new_contracted_cost
        ) END AS costs_alone,
        least(sum(new_rows), sum(old_rows)) AS paired_rows,
        sum(greatest(new_rows - old_rows, 0)) AS added_rows,
        sum(greatest(old_rows - new_rows, 0)) AS removed_rows,
        sum(CASE WHEN has_key AND (new_billed_cost, new_effective_cost, new_list_cost, new_contracted_cost)
                IS DISTINCT FROM (old_billed_cost, old_effective_cost, old_list_cost, old_contracted_cost)
            THEN least(new_rows, old_rows) ELSE 0 END) AS changed_rows,
        sum(old_billed_cost) AS old_billed_cost,
        sum(new_billed_cost) AS new_billed_cost,
        sum(old_effective_cost) AS old_effective_cost,
        sum(new_effective_cost) AS new_effective_cost,
        sum(old_list_cost) AS old_list_cost,
        sum(new_list_cost) AS new_list_cost,
        sum(old_contracted_cost) AS old_contracted_cost,
        sum(new_contracted_cost) AS new_contracted_cost
    FROM keyed
    GROUP BY ALL
)

SELECT
    provider, billing_period, $stream AS stream, $replaced AS replaced, charge_date, billing_account_id,
    sub_account_id, service_name, billing_currency,
    sum(old_billed_cost)::DECIMAL(38,18) AS old_billed_cost,
    sum(new_billed_cost)::DECIMAL(38,18) AS new_billed_cost,
    (sum(new_billed_cost) - sum(old_billed_cost))::DECIMAL(38,18) AS billed_difference,
    sum(old_effective_cost)::DECIMAL(38,18) AS old_effective_cost,
    sum(new_effective_cost)::DECIMAL(38,18) AS new_effective_cost,
    (sum(new_effective_cost) - sum(old_effective_cost))::DECIMAL(38,18) AS effective_difference,
    sum(old_list_cost)::DECIMAL(38,18) AS old_list_cost,
    sum(new_list_cost)::DECIMAL(38,18) AS new_list_cost,
    (sum(new_list_cost) - sum(old_list_cost))::DECIMAL(38,18) AS list_difference,
    sum(old_contracted_cost)::DECIMAL(38,18) AS old_contracted_cost,
    sum(new_contracted_cost)::DECIMAL(38,18) AS new_contracted_cost,
    (sum(new_contracted_cost) - sum(old_contracted_cost))::DECIMAL(38,18) AS contracted_difference,
    (sum(added_rows) - coalesce(sum(paired_rows) FILTER (costs_alone IS NOT NULL), 0))::BIGINT AS rows_added,
    (sum(removed_rows) - coalesce(sum(paired_rows) FILTER (costs_alone IS NOT NULL), 0))::BIGINT AS rows_removed,
    sum(changed_rows)::BIGINT AS rows_changed,
    $closed AS closed,
    $cause AS cause
FROM paired
GROUP BY ALL
HAVING rows_added > 0 OR rows_removed > 0 OR rows_changed > 0
    OR billed_difference <> 0 OR effective_difference <> 0 OR list_difference <> 0 OR contracted_difference <> 0
