-- Land again rows of a table that belongs to no account, which an earlier run landed from the very same file.
-- $shift is added to each row's number in the table.
INSERT INTO lake.landed_{table} BY NAME
SELECT r.* REPLACE ($run_id AS run_id, CAST($as_of AS DATE) AS as_of_date, r.row_number + $shift AS row_number)
FROM lake.landed_{table} r
WHERE r.run_id = $from_run
  AND r.row_number BETWEEN $first_row AND $last_row
ORDER BY row_number
