-- Every file that a lake's catalogue names, on SQLite and PostgreSQL alike. Grain: file; path within the lake's data, size in bytes.
SELECT DISTINCT s.path || t.path || f.path AS path, f.file_size_bytes, f.path_is_relative AND t.path_is_relative AND s.path_is_relative AS is_inside
FROM (
    SELECT table_id, path, path_is_relative, file_size_bytes FROM ducklake_data_file
    UNION ALL
    SELECT table_id, path, path_is_relative, file_size_bytes FROM ducklake_delete_file
) AS f
JOIN ducklake_table AS t ON t.table_id = f.table_id
JOIN ducklake_schema AS s ON s.schema_id = t.schema_id
ORDER BY path
