-- What became of an account in each run that has an outcome of it, and its cash as delivered. Grain: run.
SELECT o.run_id, o.as_of_date, o.outcome, o.reason, d.nav_usd, d.one_way_drift, d.max_abs_drift, d.triggers,
       c.settled_usd, c.pending_usd
FROM lake.account_outcomes o
LEFT JOIN (
    SELECT run_id, nav_usd, one_way_drift, max_abs_drift, triggers
    FROM lake.account_drift WHERE account_id = $account_id
) d USING (run_id)
LEFT JOIN (
    SELECT run_id, any_value(settled_usd) AS settled_usd, any_value(pending_usd) AS pending_usd
    FROM lake.landed_cash WHERE account_id = $account_id
    GROUP BY run_id HAVING count(*) = 1
) c USING (run_id)
WHERE o.account_id = $account_id
ORDER BY o.as_of_date, o.run_id
