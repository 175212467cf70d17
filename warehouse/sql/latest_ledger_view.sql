-- The rows of a ledger view that carry the name of the run started last.
CREATE VIEW latest.{view} AS
SELECT *
FROM main.{view}
WHERE run_id = (
    SELECT run_id
    FROM ledger.runs
    ORDER BY started_at DESC, run_id DESC
    LIMIT 1
)
