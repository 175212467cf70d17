-- Remove the rows of some runs from one lake table. $runs: run_id list.
DELETE FROM lake.{table}
WHERE list_contains($runs, run_id)
