-- Rows of a file of arrivals that are no event: all measures of each record that is a repeat or that a
-- correction set aside, by their place in the file, 0 is the first.
--
-- grain:   place
-- inputs:  arrival_place, duplicate_row, correction_row

SELECT place
FROM arrival_place
SEMI JOIN (
    SELECT raw_object_key, raw_line FROM duplicate_row
    UNION
    SELECT raw_object_key, raw_line FROM correction_row
) USING (raw_object_key, raw_line)
ORDER BY place
