-- Landed rows of accounts that no source delivered, each account and text once, with the security or the class that they are about. Such rows are landed in shard 0.
-- raw: where the account is null, or the cells may stand in the wrong columns.
SELECT DISTINCT
    r.account_id,
    CASE WHEN r.account_id IS NULL OR r.unparsed = 'line' THEN r.raw END AS raw
    {about}
FROM lake.landed_{table} r
WHERE r.run_id = $run_id
  AND r.shard = 0
  AND NOT EXISTS (
      SELECT 1 FROM lake.landed_accounts a WHERE a.run_id = $run_id AND a.shard = 0 AND a.account_id = r.account_id
  )
