"""Pages of what accounts have earned, and of the models that they should have."""
