"""Executions, fills, breaks and what has been settled of them."""
