-- FOCUS use case "Report costs by sub account": what each account, project or subscription cost.
--
-- grain:   ProviderName, SubAccountId, BillingCurrency
-- inputs:  focus_1_2
-- params:  start (inclusive), end (exclusive)

SELECT
    ProviderName,
    SubAccountId,
    arg_max(SubAccountName, (ChargePeriodStart, SubAccountName)) AS SubAccountName,  -- the last one
    BillingCurrency,
    sum(BilledCost)::DECIMAL(38,18) AS BilledCost,
    sum(EffectiveCost)::DECIMAL(38,18) AS EffectiveCost
FROM focus_1_2
WHERE ChargePeriodStart >= $start AND ChargePeriodStart < $end
GROUP BY ProviderName, SubAccountId, BillingCurrency
ORDER BY BilledCost DESC, ProviderName, SubAccountId, BillingCurrency
