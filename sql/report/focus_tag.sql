-- FOCUS use case "Allocate costs by tag": effective cost by the value of one tag; charges without it stand under null.
--
-- grain:   TagValue, BillingCurrency
-- inputs:  focus_1_2
-- params:  start (inclusive), end (exclusive), tag

SELECT
    from_json(Tags, '"MAP(VARCHAR, VARCHAR)"')[$tag] AS TagValue,
    BillingCurrency,
    sum(EffectiveCost)::DECIMAL(38,18) AS EffectiveCost,
    count(*) AS Charges
FROM focus_1_2
WHERE ChargePeriodStart >= $start AND ChargePeriodStart < $end
GROUP BY ALL
ORDER BY EffectiveCost DESC, TagValue, BillingCurrency
