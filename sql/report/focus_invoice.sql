-- FOCUS use case "Verify the accuracy of provider invoices": what each invoice holds, by category.
--
-- grain:   InvoiceIssuerName, InvoiceId, BillingAccountId, BillingPeriodStart, ChargeCategory, BillingCurrency
-- inputs:  focus_1_2
-- params:  start (first billing period), end (exclusive)

SELECT
    InvoiceIssuerName,
    InvoiceId,
    BillingAccountId,
    BillingPeriodStart,
    ChargeCategory,
    BillingCurrency,
    sum(BilledCost)::DECIMAL(38,18) AS BilledCost,
    count(*) AS Charges
FROM focus_1_2
WHERE BillingPeriodStart >= $start AND BillingPeriodStart < $end
GROUP BY ALL
ORDER BY ALL
