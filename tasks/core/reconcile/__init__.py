"""From executions to states of orders, allocations, breaks and lot differences."""
