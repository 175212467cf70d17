"""Weights, drift, tolerance bands and triggers of every account."""
