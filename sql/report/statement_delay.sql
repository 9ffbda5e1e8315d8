-- Records that claim a usage date by the time from event to delivery. Every step is there, also an empty one; a
-- producer's clock that ran ahead of the delivery counts in the first step.
--
-- grain:   stream x step of the delay
-- inputs:  usage_arrival
-- params:  day

WITH step(from_seconds, to_seconds) AS (
    VALUES
        (0, 900),
        (900, 3600),
        (3600, 21600),
        (21600, 86400),
        (86400, 172800),
        (172800, 604800),
        (604800, NULL)
),

record AS (
    SELECT
        stream,
        raw_object_key,
        raw_line,
        max(epoch_us(delivered_at) - epoch_us(event_time)) // 1000000 AS delay_seconds
    FROM usage_arrival
    WHERE usage_date = $day
    GROUP BY ALL
),

counted AS (
    SELECT stream, from_seconds, count(*) AS records
    FROM record
    JOIN step
        ON greatest(delay_seconds, 0) >= from_seconds
        AND greatest(delay_seconds, 0) < coalesce(to_seconds, delay_seconds + 1)
    GROUP BY ALL
)

SELECT stream, from_seconds, to_seconds, coalesce(records, 0) AS records
FROM (SELECT DISTINCT stream FROM record)
CROSS JOIN step
LEFT JOIN counted USING (stream, from_seconds)
ORDER BY ALL
