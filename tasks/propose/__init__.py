"""The night after the gate: measure drift, propose trades, route and publish them."""
