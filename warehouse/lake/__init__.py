"""The lake: bulk facts by run and shard, in DuckDB with the DuckLake format."""
