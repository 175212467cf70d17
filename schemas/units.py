"""Exact numbers: how money, prices and quantities are stored. Apart from the contract, which takes a second to import."""

from typing import Final

import polars as pl

EXACT: Final = pl.Decimal(18, 6)
"""Money, price or quantity of one row: 18 digits, 6 of them after the point."""
