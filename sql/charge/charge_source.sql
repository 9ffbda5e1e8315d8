-- Sums of the text of one chunk of a delivery, taken before any mapping.
--
-- grain:   period, stage, category, currency
-- inputs:  charge_row

SELECT
    strftime(billing_period_start, '%Y-%m') AS period,
    CASE WHEN is_mirror THEN 'mirror' ELSE 'source' END AS stage,
    control_category AS category,
    coalesce(control_currency, billing_currency) AS currency,  -- what a mapping filled
    count(*) AS rows,
    sum(control_cost) AS cost,
    sum(amount_rest(control_cost_text)) AS rest,
    -- credits are rounded line by line, as the charge keeps them
    sum(CASE WHEN control_credits IS NOT NULL THEN amount_sum(list_filter(
        json_extract_string(control_credits, '$[*].amount'), lambda one: one IS NOT NULL
    )) END) AS credits
FROM charge_row
GROUP BY ALL
