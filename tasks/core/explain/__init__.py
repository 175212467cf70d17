"""What the night made of an account and of a run, in sentences and numbers."""
