-- FOCUS use case "Report recurring charges": commitments and subscriptions that come again each period.
--
-- grain:   ProviderName, BillingPeriodStart, ChargeDescription, CommitmentDiscountId, BillingCurrency
-- inputs:  focus_1_2
-- params:  start (first billing period), end (exclusive)

SELECT
    ProviderName,
    BillingPeriodStart,
    ChargeDescription,
    CommitmentDiscountId,
    BillingCurrency,
    sum(BilledCost)::DECIMAL(38,18) AS BilledCost
FROM focus_1_2
WHERE ChargeFrequency = 'Recurring' AND BillingPeriodStart >= $start AND BillingPeriodStart < $end
GROUP BY ALL
ORDER BY ALL
