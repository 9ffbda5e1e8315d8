-- FOCUS use case "Analyze resource costs by SKU": what each resource cost, and for what.
--
-- grain:   ProviderName, ResourceId, SkuId, PricingUnit, BillingCurrency
-- inputs:  focus_1_2
-- params:  start (inclusive), end (exclusive)

SELECT
    ProviderName,
    ResourceId,
    SkuId,
    max(ChargeDescription) AS ChargeDescription,
    PricingUnit,
    BillingCurrency,
    sum(PricingQuantity::DECIMAL(38,12)) AS PricingQuantity,  -- a sum of 18 places ends at 10^20
    sum(EffectiveCost)::DECIMAL(38,18) AS EffectiveCost
FROM focus_1_2
WHERE ResourceId IS NOT NULL AND ChargePeriodStart >= $start AND ChargePeriodStart < $end
GROUP BY ProviderName, ResourceId, SkuId, PricingUnit, BillingCurrency
ORDER BY EffectiveCost DESC, ProviderName, ResourceId, SkuId, PricingUnit, BillingCurrency
