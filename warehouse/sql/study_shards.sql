-- Shards of paths of a study that are finished. Grain: shard.
SELECT DISTINCT shard
FROM lake.lab_parts
WHERE run_id = $study_id
ORDER BY shard
