-- Every file that the lake's catalogue names, as a path or the end of one. Grain: file.
SELECT path FROM __ducklake_metadata_lake.ducklake_data_file
UNION
SELECT path FROM __ducklake_metadata_lake.ducklake_delete_file
