"""Runs, their steps, inputs, locks and halts."""
