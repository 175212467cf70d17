-- Remove all that a table holds of one run, every shard of it.
DELETE FROM lake.{table}
WHERE run_id = $run_id
