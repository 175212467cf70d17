-- Rows of one account in one lake table of one run. Grain and units: schemas.tables.
SELECT {columns}
FROM lake.{table}
WHERE run_id = $run_id
  AND account_id = $account_id
