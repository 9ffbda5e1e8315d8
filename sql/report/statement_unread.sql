-- Objects that landed on a date and that no run could read, by stream and key.
--
-- grain:   stream x raw_object_key
-- inputs:  unread
-- params:  day

SELECT stream, raw_object_key, reason
FROM unread
WHERE landed_date = $day
ORDER BY ALL
