-- Sums of the text of one chunk of a delivery, taken before any mapping.
--
-- grain:   period, stage, category, currency
-- inputs:  raw, charge_row

SELECT
    strftime(charge_row.billing_period_start, '%Y-%m') AS period,
    CASE WHEN charge_row.is_mirror THEN 'mirror' ELSE 'source' END AS stage,
    raw.control_category AS category,
    raw.control_currency AS currency,
    count(*) AS rows,
    sum(raw.control_cost) AS cost,
    sum(amount_rest(raw.control_cost_text)) AS rest,
    -- credits are rounded line by line, as the charge keeps them
    sum(rounded_amount(list_sum(list_transform(
        json_extract_string(raw.control_credits, '$[*].amount'), lambda one: wide_amount(one)
    )))) AS credits
FROM raw
JOIN charge_row USING (x_row)
GROUP BY ALL
