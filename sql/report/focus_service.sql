-- FOCUS use case "Report costs by service category and service": costs of a span of days.
--
-- grain:   ProviderName, ServiceCategory, ServiceName, BillingCurrency
-- inputs:  focus_1_2
-- params:  start (inclusive), end (exclusive)

SELECT
    ProviderName,
    ServiceCategory,
    ServiceName,
    BillingCurrency,
    sum(ListCost)::DECIMAL(38,18) AS ListCost,
    sum(BilledCost)::DECIMAL(38,18) AS BilledCost,
    sum(EffectiveCost)::DECIMAL(38,18) AS EffectiveCost
FROM focus_1_2
WHERE ChargePeriodStart >= $start AND ChargePeriodStart < $end
GROUP BY ALL
ORDER BY BilledCost DESC, ProviderName, ServiceCategory, ServiceName, BillingCurrency
