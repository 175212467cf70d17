-- Whether the lake was made, or opened, by a version that keeps the day on which a study was asked for. Grain: one row, or none.
SELECT column_name
FROM duckdb_columns()
WHERE database_name = 'lake' AND table_name = 'lab_studies' AND column_name = 'entered_date'
