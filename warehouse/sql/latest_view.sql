-- The rows of a public table that belong to the newest run with rows in it. "Newest": started last.
CREATE VIEW latest.{table} AS
SELECT *
FROM main.{table}
WHERE run_id = (
    SELECT run_id
    FROM ledger.runs
    WHERE run_id IN (SELECT DISTINCT run_id FROM lake.{table})
    ORDER BY started_at DESC, run_id DESC
    LIMIT 1
)
