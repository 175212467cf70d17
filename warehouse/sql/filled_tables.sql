-- Tables of the lake that have had rows: those of which its catalogue keeps statistics. Grain: table.
SELECT DISTINCT t.table_name
FROM __ducklake_metadata_lake.ducklake_table t
JOIN __ducklake_metadata_lake.ducklake_table_stats s ON s.table_id = t.table_id
