"""What the lake and the ledger know from before: earlier holdings, open orders, fills, runs."""
