-- FOCUS use case "Analyze costs by provider region".
--
-- grain:   ProviderName, RegionId, ServiceName, BillingCurrency
-- inputs:  focus_1_2
-- params:  start (inclusive), end (exclusive)

SELECT
    ProviderName,
    RegionId,
    ServiceName,
    BillingCurrency,
    sum(EffectiveCost)::DECIMAL(38,18) AS EffectiveCost
FROM focus_1_2
WHERE ChargePeriodStart >= $start AND ChargePeriodStart < $end
GROUP BY ALL
ORDER BY EffectiveCost DESC, ProviderName, RegionId, ServiceName, BillingCurrency
