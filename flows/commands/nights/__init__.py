"""Commands around a night: looking at its files before, and doing what was asked for in the console."""
