-- Accounts of some runs, whose they are, and the model that governs them: the household's where it is managed together, and the one that a
-- change in force moves either to. Grain: run, account. A row as landed stands for the account only where there is one.
-- `runs` (run_id) are the runs; $first and $last are the first and the last of their names, for files to be left out by.
SELECT
    o.run_id, o.account_id, o.outcome, o.reason, l.custodian,
    CASE WHEN m.household_id IS NULL THEN coalesce(a.model_id, l.model_id) ELSE coalesce(h.model_id, m.model_id) END AS model_id
FROM (
    SELECT run_id, account_id, outcome, reason
    FROM lake.account_outcomes SEMI JOIN runs USING (run_id)
    WHERE run_id BETWEEN $first AND $last
) o
LEFT JOIN (
    SELECT run_id, account_id, any_value(custodian) AS custodian, any_value(household_id) AS household_id, any_value(model_id) AS model_id
    FROM lake.landed_accounts SEMI JOIN runs USING (run_id)
    WHERE run_id BETWEEN $first AND $last
    GROUP BY run_id, account_id HAVING count(*) = 1
) l ON l.run_id = o.run_id AND l.account_id = o.account_id
LEFT JOIN (
    SELECT run_id, household_id, any_value(model_id) AS model_id
    FROM lake.landed_households SEMI JOIN runs USING (run_id)
    WHERE run_id BETWEEN $first AND $last
    GROUP BY run_id, household_id HAVING count(*) = 1
) m ON m.run_id = o.run_id AND m.household_id = l.household_id
LEFT JOIN (
    SELECT run_id, subject_id, any_value(to_model_id) AS model_id
    FROM lake.changed_models SEMI JOIN runs USING (run_id)
    WHERE run_id BETWEEN $first AND $last AND subject_kind = 'account'
    GROUP BY run_id, subject_id
) a ON a.run_id = o.run_id AND a.subject_id = o.account_id
LEFT JOIN (
    SELECT run_id, subject_id, any_value(to_model_id) AS model_id
    FROM lake.changed_models SEMI JOIN runs USING (run_id)
    WHERE run_id BETWEEN $first AND $last AND subject_kind = 'household'
    GROUP BY run_id, subject_id
) h ON h.run_id = o.run_id AND h.subject_id = l.household_id
