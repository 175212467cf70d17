-- Where each account's last accepted holdings are. Grain: account.
-- `wanted`: registered table of account_id. `runs`: registered table of run_id, place: the runs to look into, the newest last.
-- is_carried: the account went no further in that run, which carried what it had held before (tables carried_*).
WITH seen AS (
    SELECT s.account_id, s.run_id, s.shard, r.place, s.as_of_date AS accepted_date, false AS is_carried
    FROM lake.scope s
    JOIN runs r USING (run_id)
    JOIN wanted USING (account_id)
    ANTI JOIN lake.gate g ON g.run_id = s.run_id AND g.shard = s.shard AND g.account_id = s.account_id
    UNION ALL
    SELECT c.account_id, c.run_id, c.shard, r.place, c.accepted_date, true
    FROM lake.carried c
    JOIN runs r USING (run_id)
    JOIN wanted USING (account_id)
)
SELECT account_id, run_id, shard, accepted_date, is_carried
FROM seen
QUALIFY row_number() OVER (PARTITION BY account_id ORDER BY place DESC, is_carried) = 1
