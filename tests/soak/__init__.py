"""A year of nights on real prices, with all that happens to accounts, files, processes and people; and what must be true after each."""
