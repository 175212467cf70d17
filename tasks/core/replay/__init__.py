"""What differs between a run and its replay."""
