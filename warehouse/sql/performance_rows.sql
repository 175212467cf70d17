-- Rows of `performance` of nights between $first and $last, each night of an account as the newest run has it. Grain: the table's.
-- `wanted`: registered table of account_id. `runs`: registered table of run_id, place: the runs to look into, the newest last.
SELECT *
FROM lake.performance
JOIN runs USING (run_id)
JOIN wanted USING (account_id)
WHERE night_date BETWEEN $first AND $last
QUALIFY place = max(place) OVER (PARTITION BY account_id, night_date)
