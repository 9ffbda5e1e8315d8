-- FOCUS use case "Determine utilization of commitment discounts": what was spent on use, and what on nothing;
-- taxes, credits and discounts on a commitment are neither.
--
-- grain:   CommitmentDiscountId, BillingCurrency
-- inputs:  focus_1_2
-- params:  start (inclusive), end (exclusive)

SELECT
    CommitmentDiscountId,
    max(CommitmentDiscountType) AS CommitmentDiscountType,
    BillingCurrency,
    coalesce(sum(EffectiveCost) FILTER (CommitmentDiscountStatus = 'Used'), 0)::DECIMAL(38,18) AS UsedCost,
    coalesce(sum(EffectiveCost) FILTER (CommitmentDiscountStatus IS DISTINCT FROM 'Used'), 0)::DECIMAL(38,18)
        AS UnusedCost
FROM focus_1_2
WHERE CommitmentDiscountId IS NOT NULL AND ChargeCategory IN ('Usage', 'Purchase')
    AND ChargePeriodStart >= $start AND ChargePeriodStart < $end
GROUP BY CommitmentDiscountId, BillingCurrency
ORDER BY UnusedCost DESC, CommitmentDiscountId, BillingCurrency
