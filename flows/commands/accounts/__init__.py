"""Commands about one account as a whole."""
