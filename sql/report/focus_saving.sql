-- FOCUS use case "Determine the effective savings rate": list against effective cost, by service.
--
-- The list cost of a commitment that was bought is left out, as FOCUS asks for ("List Cost": else it counts twice, once
-- more in what the commitment covers), and so is that of what nobody used of it: nobody would have bought that; what
-- of it is effective was spent on nothing, and lessens the savings. A discount may be a line of its own, without a list
-- cost (AWS: EdpDiscount, BundledDiscount and others).
--
-- grain:   ProviderName, ServiceName, BillingCurrency
-- inputs:  focus_1_2
-- params:  start (inclusive), end (exclusive)

WITH cost AS (
    SELECT
        ProviderName,
        ServiceName,
        BillingCurrency,
        coalesce(sum(ListCost) FILTER (
            CommitmentDiscountId IS NULL
            OR (ChargeCategory = 'Usage' AND CommitmentDiscountStatus IS DISTINCT FROM 'Unused')
        ), 0) AS listed,
        sum(EffectiveCost) AS effective
    FROM focus_1_2
    WHERE (ChargeCategory IN ('Usage', 'Purchase') OR (ChargeCategory = 'Adjustment' AND ListCost = 0))
        AND ChargePeriodStart >= $start AND ChargePeriodStart < $end
    GROUP BY ALL
)

SELECT
    ProviderName,
    ServiceName,
    BillingCurrency,
    listed::DECIMAL(38,18) AS ListCost,
    effective::DECIMAL(38,18) AS EffectiveCost,
    (listed - effective)::DECIMAL(38,18) AS Saved
FROM cost
WHERE listed > 0 OR effective <> 0
ORDER BY Saved DESC, ProviderName, ServiceName, BillingCurrency
