-- The delivered record that is kept of each identity which more than one claims: the first one.
--
-- grain:   record_key
-- inputs:  rival

SELECT record_key, first.raw_object_key, first.raw_line, first.usage_date
FROM (
    SELECT
        record_key,
        -- a record whose measures count on two dates is told to count on the earlier one
        min({'delivered_at': delivered_at, 'raw_object_key': raw_object_key, 'raw_line': raw_line, 'usage_date': usage_date}) AS first,
        max({'delivered_at': delivered_at, 'raw_object_key': raw_object_key, 'raw_line': raw_line}) AS last
    FROM rival
    GROUP BY record_key
)
WHERE (first.raw_object_key, first.raw_line) <> (last.raw_object_key, last.raw_line)
