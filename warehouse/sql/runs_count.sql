-- How many rows of one lake table some runs have. $runs: run_id list. Grain: one row.
SELECT count(*) AS row_count
FROM lake.{table}
WHERE list_contains($runs, run_id)
