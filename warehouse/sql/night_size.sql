-- How much a run landed, and how many accounts of an earlier run it lacks. Grain: one row.
SELECT
    (SELECT count(*) FROM lake.scope WHERE run_id = $run_id) AS accounts,
    (SELECT count(*) FROM lake.landed_lots WHERE run_id = $run_id) AS lots,
    (SELECT count(*) FROM lake.scope WHERE run_id = $last_run) AS last_accounts,
    (SELECT count(*) FROM lake.landed_lots WHERE run_id = $last_run) AS last_lots,
    (
        SELECT count(*)
        FROM lake.scope l
        ANTI JOIN (SELECT account_id FROM lake.scope WHERE run_id = $run_id) t USING (account_id)
        WHERE l.run_id = $last_run
    ) AS missing
