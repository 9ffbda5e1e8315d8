-- Streams with a void on the day whose target is not known, as far as the corrections at hand tell.
--
-- grain:   stream
-- inputs:  correction
-- params:  day

SELECT DISTINCT stream
FROM correction
WHERE usage_date = $day
    AND role = 'void'
    AND corrects_key NOT IN (SELECT record_key FROM correction WHERE role = 'voided')
ORDER BY ALL
