"""A custodian's files as landing tables: each format is a TOML file that one engine reads."""
