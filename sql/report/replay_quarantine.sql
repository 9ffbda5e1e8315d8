-- Refused records by reason as they are published and as a replay refuses them.
--
-- grain:   reason
-- inputs:  published_quarantine, replayed_quarantine

WITH published AS (
    SELECT reason, count(*) AS n FROM published_quarantine GROUP BY ALL
),

replayed AS (
    SELECT reason, count(*) AS n FROM replayed_quarantine GROUP BY ALL
)

SELECT
    reason,
    coalesce(old.n, 0) AS old,
    coalesce(new.n, 0) AS new
FROM published old
FULL JOIN replayed new USING (reason)
ORDER BY ALL
