-- Where the newest row of each account's performance is, of nights before $night. Grain: account.
-- `wanted`: registered table of account_id. `runs`: registered table of run_id, place: the runs to look into, the newest last.
SELECT account_id, run_id, shard, night_date
FROM lake.performance_state
JOIN runs USING (run_id)
JOIN wanted USING (account_id)
WHERE night_date < $night
QUALIFY row_number() OVER (PARTITION BY account_id ORDER BY night_date DESC, place DESC) = 1
