-- What normalize was given: records by object as the reader cut them (meter NULL), measures as the contract
-- mapped them; counted before anything is judged or joined, so that normalize_count has something to equal.
--
-- grain:   object_id x meter x unit
-- inputs:  mapped, batch

SELECT object_id, NULL AS meter, NULL AS unit, count(*) AS rows_in, NULL::DECIMAL(38,9) AS quantity_in
FROM batch
GROUP BY ALL
UNION ALL
SELECT object_id, meter, unit, count(*) AS rows_in, sum(quantity)::DECIMAL(38,9) AS quantity_in
FROM mapped
WHERE meter IS NOT NULL AND unit IS NOT NULL
GROUP BY ALL
