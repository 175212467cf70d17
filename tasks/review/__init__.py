"""Decisions on proposals: the queue, versions, explanations, quarantined rows, and who may decide."""
