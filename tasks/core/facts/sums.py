"""Sums of floats whose bytes repeat."""

import polars as pl


def exact_sum(numbers: pl.Expr) -> pl.Expr:
    """Sum of Float64 numbers of the size of weights that does not depend on their order (to 1e-16): bytes repeat."""
    return numbers.cast(pl.Decimal(38, 16)).sum().cast(pl.Float64)
