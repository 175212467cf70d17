-- Rows of one lake table of one run that are of some securities. `wanted`: registered table of security_id. Grain: the table's.
SELECT {columns}
FROM lake.{table}
WHERE run_id = $run_id
  AND security_id IN (SELECT security_id FROM wanted)
