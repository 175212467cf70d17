"""The ledger: what people and machines decided."""
