-- Files smaller than $bytes that hold current rows and lack none of them. Grain: table with two or more of them.
SELECT t.table_name, count(*) AS file_count
FROM __ducklake_metadata_lake.ducklake_data_file f
JOIN __ducklake_metadata_lake.ducklake_table t ON t.table_id = f.table_id AND t.end_snapshot IS NULL
WHERE f.end_snapshot IS NULL
  AND f.file_size_bytes < $bytes
  AND f.data_file_id NOT IN (
    SELECT data_file_id FROM __ducklake_metadata_lake.ducklake_delete_file WHERE end_snapshot IS NULL
  )
GROUP BY t.table_name
HAVING count(*) > 1
ORDER BY t.table_name
