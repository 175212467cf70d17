"""The only code that talks to a database: the lake (DuckDB with DuckLake) and the ledger (SQLAlchemy)."""
