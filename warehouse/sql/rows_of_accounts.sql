-- Rows of one lake table of one run that belong to some accounts. `wanted`: registered table of account_id. Grain: the table's.
SELECT {columns}
FROM lake.{table}
WHERE run_id = $run_id
  AND shard IN (SELECT unnest($shards::INTEGER[]))
  AND account_id IN (SELECT account_id FROM wanted)
