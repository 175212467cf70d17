"""One look at drift on fresh prices, and the runs it starts."""
