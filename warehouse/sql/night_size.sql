-- How much a run landed, how much of it an earlier run had, and how many accounts of that it lacks. Grain: one row.
-- Lots of accounts that wait for a file in either run do not count. $is_late: the run adds late files to another, and only its
-- own accounts' lots count. nobodys_lots: those in quarantine whose account was not delivered, or cannot be read.
WITH mine AS (
    SELECT account_id FROM lake.scope WHERE run_id = $run_id
),
waiting AS (
    SELECT account_id FROM lake.awaiting WHERE run_id IN ($run_id, $last_run)
),
counted AS (
    SELECT l.run_id, count(*) AS lots
    FROM lake.landed_lots l
    ANTI JOIN waiting w ON w.account_id = l.account_id
    WHERE l.run_id IN ($run_id, $last_run)
      AND (NOT $is_late OR l.account_id IN (SELECT account_id FROM mine))
    GROUP BY l.run_id
)
SELECT
    (SELECT count(*) FROM mine) AS accounts,
    coalesce((SELECT lots FROM counted WHERE run_id = $run_id), 0) AS lots,
    (SELECT count(*) FROM lake.scope WHERE run_id = $last_run AND (NOT $is_late OR account_id IN (FROM mine))) AS last_accounts,
    coalesce((SELECT lots FROM counted WHERE run_id = $last_run), 0) AS last_lots,
    (
        SELECT count(*)
        FROM lake.scope l
        ANTI JOIN mine USING (account_id)
        WHERE l.run_id = $last_run AND NOT $is_late
    ) AS missing,
    (SELECT count(*) FROM lake.landed_lots WHERE run_id = $run_id) AS landed_lots,
    (
        SELECT count(*)
        FROM lake.quarantine q
        WHERE q.run_id = $run_id AND q.table_name = 'lots'
          AND NOT EXISTS (FROM lake.landed_accounts a WHERE a.run_id = $run_id AND a.account_id = q.account_id)
    ) AS nobodys_lots
