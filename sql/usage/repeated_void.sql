-- Delivered voids, wherever they count, whose identity another record claimed first: they cancel nothing.
--
-- grain:   record_key x delivery (object and line)
-- inputs:  rival, first_delivery

SELECT void.record_key, void.raw_object_key, void.raw_line
FROM rival void
JOIN first_delivery kept USING (record_key)
WHERE void.record_kind = 'void' AND (void.raw_object_key, void.raw_line) <> (kept.raw_object_key, kept.raw_line)
GROUP BY ALL
