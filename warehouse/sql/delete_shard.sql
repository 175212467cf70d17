-- Remove what a step wrote before for one run and shard, so that writing twice is writing once.
DELETE FROM lake.{table}
WHERE run_id = $run_id
  AND shard = $shard
