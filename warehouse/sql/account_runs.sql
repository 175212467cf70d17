-- Runs that have an outcome of an account, and the shard it stands in. Grain: run.
SELECT run_id, min(shard) AS shard
FROM lake.account_outcomes
WHERE account_id = $account_id
GROUP BY run_id
