-- The first account of a household in each run that has an outcome of one. Grain: run.
SELECT run_id, min(account_id) AS account_id
FROM lake.landed_accounts a
SEMI JOIN lake.account_outcomes o USING (run_id, account_id)
WHERE household_id = $household_id
GROUP BY run_id
