-- Columns that the lake's tables had at a snapshot. Grain: table, column.
SELECT t.table_name, c.column_name
FROM __ducklake_metadata_lake.ducklake_table t
JOIN __ducklake_metadata_lake.ducklake_column c USING (table_id)
WHERE t.begin_snapshot <= $number
  AND (t.end_snapshot IS NULL OR t.end_snapshot > $number)
  AND c.begin_snapshot <= $number
  AND (c.end_snapshot IS NULL OR c.end_snapshot > $number)
