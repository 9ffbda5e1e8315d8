-- FOCUS use case "Quantify usage of a component across months": what was used of a service, and its
-- effective cost, month by month; purchases, taxes and credits are not in it.
--
-- grain:   ProviderName, ServiceName, Month, BillingCurrency, ConsumedUnit
-- inputs:  focus_1_2
-- params:  start (inclusive), end (exclusive)

SELECT
    ProviderName,
    ServiceName,
    date_trunc('month', ChargePeriodStart)::DATE AS Month,
    BillingCurrency,
    ConsumedUnit,
    sum(ConsumedQuantity::DECIMAL(38,12)) AS ConsumedQuantity,  -- a sum of 18 places ends at 10^20
    sum(EffectiveCost)::DECIMAL(38,18) AS EffectiveCost
FROM focus_1_2
WHERE ChargeCategory = 'Usage' AND ChargePeriodStart >= $start AND ChargePeriodStart < $end
GROUP BY ALL
ORDER BY ALL
