-- Households of a run behind `after`, by name, with how many accounts each has. Grain: household. USD, null where none has a value.
SELECT a.household_id, count(*) AS account_count, CAST(sum(d.nav_usd) AS DECIMAL(38, 6)) AS nav_usd
FROM lake.landed_accounts a
SEMI JOIN (SELECT account_id FROM lake.account_outcomes WHERE run_id = $run_id) o USING (account_id)
LEFT JOIN (SELECT account_id, nav_usd FROM lake.account_drift WHERE run_id = $run_id) d USING (account_id)
WHERE a.run_id = $run_id AND a.household_id > $after
GROUP BY a.household_id
ORDER BY a.household_id
LIMIT $most
