-- Sums of the charges of a month by delivery, provider's kind of line, charge category and currency; the digits
-- that amounts lost to rounding are added again, so that source_cost equals the sum of the text.
--
-- grain:   delivery, charge_type, charge_category, currency
-- inputs:  charge
-- params:  cost (property whose text the provider's total is made of)

SELECT
    x_delivery AS delivery,
    x_charge_type AS charge_type,
    charge_category,
    billing_currency AS currency,
    count(*) AS rows,
    sum(x_source_cost)::DECIMAL(38,18) AS source_cost,
    sum(amount_rest(x_changes['rounded:' || $cost]))::DECIMAL(38,28) AS source_rest,
    sum(x_source_credits)::DECIMAL(38,18) AS source_credits,
    sum(list_cost)::DECIMAL(38,18) AS list_cost,
    sum(contracted_cost)::DECIMAL(38,18) AS contracted_cost,
    sum(billed_cost)::DECIMAL(38,18) AS billed_cost,
    sum(effective_cost)::DECIMAL(38,18) AS effective_cost
FROM charge
GROUP BY ALL
ORDER BY ALL
