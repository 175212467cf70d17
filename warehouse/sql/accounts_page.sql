-- Accounts of a run behind `after`, by name, with what became of each, its value and its drift. Grain: account. USD, fractions of NAV.
-- A row as landed stands for the account only where there is one. `outcome` null: of every outcome.
WITH page AS (
    SELECT account_id, outcome, reason
    FROM lake.account_outcomes
    WHERE run_id = $run_id AND account_id > $after AND ($outcome IS NULL OR outcome = $outcome)
    ORDER BY account_id
    LIMIT $most
)
SELECT
    p.account_id, a.custodian, a.household_id, a.tax_status, a.model_id, a.policy_id,
    p.outcome, p.reason, d.nav_usd, d.one_way_drift, d.max_abs_drift
FROM page p
LEFT JOIN (
    SELECT account_id, any_value(custodian) AS custodian, any_value(household_id) AS household_id,
           any_value(tax_status) AS tax_status, any_value(model_id) AS model_id, any_value(policy_id) AS policy_id
    FROM lake.landed_accounts
    WHERE run_id = $run_id AND account_id IN (SELECT account_id FROM page)
    GROUP BY account_id HAVING count(*) = 1
) a USING (account_id)
LEFT JOIN (SELECT * FROM lake.account_drift WHERE run_id = $run_id) d USING (account_id)
ORDER BY p.account_id
