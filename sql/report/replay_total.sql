-- Totals of usage dates as they are published and as a replay makes them, for what differs and what does not.
--
-- grain:   usage_date x meter x unit
-- inputs:  published_daily, replayed_daily

WITH published AS (
    SELECT usage_date, meter, unit, sum(quantity)::DECIMAL(38,9) AS quantity, sum(events)::BIGINT AS events
    FROM published_daily
    GROUP BY ALL
),

replayed AS (
    SELECT usage_date, meter, unit, sum(quantity)::DECIMAL(38,9) AS quantity, sum(events)::BIGINT AS events
    FROM replayed_daily
    GROUP BY ALL
)

SELECT
    usage_date::VARCHAR AS usage_date,
    meter,
    unit,
    coalesce(old.quantity, 0)::DECIMAL(38,9)::VARCHAR AS old_quantity,
    coalesce(new.quantity, 0)::DECIMAL(38,9)::VARCHAR AS new_quantity,
    (coalesce(new.quantity, 0) - coalesce(old.quantity, 0))::DECIMAL(38,9)::VARCHAR AS difference,
    coalesce(old.events, 0) AS old_events,
    coalesce(new.events, 0) AS new_events,
    coalesce(new.events, 0) - coalesce(old.events, 0) AS events_difference
FROM published old
FULL JOIN replayed new USING (usage_date, meter, unit)
ORDER BY ALL
