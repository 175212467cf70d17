"""Proposals, the queue, decisions, versions and readmitted rows."""
