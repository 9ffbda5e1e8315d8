-- FOCUS use case "Determine the effective savings rate": list against effective cost, by service.
--
-- grain:   ProviderName, ServiceName, BillingCurrency
-- inputs:  focus_1_2
-- params:  start (inclusive), end (exclusive)

SELECT
    ProviderName,
    ServiceName,
    BillingCurrency,
    sum(ListCost)::DECIMAL(38,18) AS ListCost,
    sum(EffectiveCost)::DECIMAL(38,18) AS EffectiveCost,
    (sum(ListCost) - sum(EffectiveCost))::DECIMAL(38,18) AS Saved
FROM focus_1_2
WHERE ChargeCategory IN ('Usage', 'Purchase') AND ChargePeriodStart >= $start AND ChargePeriodStart < $end
GROUP BY ALL
HAVING sum(ListCost) > 0
ORDER BY Saved DESC, ServiceName
