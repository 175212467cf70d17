-- Land again rows of accounts, which an earlier run landed from the very same file, in the shards of this run.
-- `shards`: registered table of account_id, shard (null: an account of the night that is not of this run; left out). Rows that
-- belong to everyone ($has_common: they name no account) go to shard -1; those of accounts it lacks to shard 0.
-- $shift is added to each row's number.
INSERT INTO lake.landed_{table} BY NAME
SELECT
    r.* REPLACE (
        $run_id AS run_id,
        CAST($as_of AS DATE) AS as_of_date,
        CAST(CASE WHEN $has_common AND r.account_id IS NULL THEN -1 ELSE coalesce(s.shard, 0) END AS INTEGER) AS shard,
        r.row_number + $shift AS row_number
    )
FROM lake.landed_{table} r
LEFT JOIN shards s ON s.account_id = r.account_id
WHERE r.run_id = $from_run
  AND r.row_number BETWEEN $first_row AND $last_row
  AND (
      s.shard IS NOT NULL
      OR ($has_common AND r.account_id IS NULL)
      OR s.account_id IS NULL
  )
ORDER BY shard, row_number
