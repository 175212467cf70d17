"""Every rule becomes a bound or a price of the solver's arrays."""
