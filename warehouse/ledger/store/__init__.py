"""Tables, types and words of the ledger, its transactions and its audit chain."""
