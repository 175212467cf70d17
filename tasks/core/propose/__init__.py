"""From facts to proposals: solve, certify, give orders and reasons, route."""
