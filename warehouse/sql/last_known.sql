-- Where the newest rows of each account are, and its custodian there. Grain: account.
-- `runs`: registered table of run_id, place: the runs to look into, the newest last.
WITH newest AS (
    SELECT s.account_id, s.run_id, s.shard
    FROM lake.scope s
    JOIN runs r USING (run_id)
    QUALIFY row_number() OVER (PARTITION BY s.account_id ORDER BY r.place DESC) = 1
)
SELECT n.account_id, n.run_id, n.shard, min_by(a.custodian, a.row_number) AS custodian
FROM newest n
JOIN lake.landed_accounts a ON a.run_id = n.run_id AND a.shard = n.shard AND a.account_id = n.account_id
GROUP BY ALL
ORDER BY n.account_id
