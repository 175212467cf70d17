"""A sample book of accounts on real market prices."""
