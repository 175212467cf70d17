"""Pure functions: Polars and NumPy in, Polars and NumPy out. No Prefect, DuckDB, clock, disk or logging."""
