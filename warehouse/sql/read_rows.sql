-- Rows of one lake table of one run; of one shard, or of all where $shard is null. Grain and units: schemas.tables.
SELECT {columns}
FROM lake.{table}
WHERE run_id = $run_id
  AND ($shard IS NULL OR shard = $shard)
