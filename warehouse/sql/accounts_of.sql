-- Accounts that have been of a model, or of a household, on any night of the record. Grain: account.
-- `runs`: registered table of run_id, place: the runs to look into.
SELECT DISTINCT account_id
FROM lake.performance
JOIN runs USING (run_id)
WHERE model_id = $model_id OR household_id = $household_id
ORDER BY account_id
