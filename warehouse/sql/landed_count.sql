-- How many rows of a landed table a run has between two of its row numbers. Grain: one row.
SELECT count(*) AS rows
FROM lake.landed_{table}
WHERE run_id = $run_id
  AND row_number BETWEEN $first_row AND $last_row
