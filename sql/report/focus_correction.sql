-- FOCUS use case "Report corrections for a previously invoiced billing period".
--
-- grain:   ProviderName, BillingAccountId, BillingPeriodStart, ChargeCategory, ServiceName, BillingCurrency
-- inputs:  focus_1_2
-- params:  start (first billing period), end (exclusive)

SELECT
    ProviderName,
    BillingAccountId,
    BillingPeriodStart,
    ChargeCategory,
    ServiceName,
    BillingCurrency,
    sum(BilledCost)::DECIMAL(38,18) AS BilledCost,
    count(*) AS Corrections
FROM focus_1_2
WHERE ChargeClass = 'Correction' AND BillingPeriodStart >= $start AND BillingPeriodStart < $end
GROUP BY ALL
ORDER BY ALL
