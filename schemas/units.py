"""Exact numbers: how money, prices and quantities are stored. Apart from the contract, which takes a second to import."""

from typing import Final

import polars as pl

EXACT: Final = pl.Decimal(18, 6)
"""Money, price or quantity of one row: 18 digits, 6 of them after the point."""

UNITS: Final[dict[str, str]] = {
    "_usd": "USD",
    "_bps": "basis points",
    "_rate": "fraction of 1",
    "_return": "fraction of 1",
    "drawdown": "fraction of 1",
    "tracking_difference": "fraction of 1",
    "tracking_error": "fraction of 1 a year",
    "volatility": "fraction of 1 a year",
    "drift_difference": "fraction of NAV",
    "allocation": "fraction of 1",
    "trading_cost": "fraction of 1",
    "residual": "fraction of 1",
    "_hours": "hours",
    "quantity": "shares",
    "weight": "fraction of NAV",
    "drift": "fraction of NAV",
    "drift_before": "fraction of NAV",
    "drift_after": "fraction of NAV",
    "band": "fraction of NAV",
    "turnover": "fraction of NAV",
    "shadow_price": "USD a dollar",
}
"""How names of columns end, and the unit that this means."""


def unit_of(column: str, dtype: pl.DataType) -> str:
    """The unit of a column of numbers; empty where it has none: counts, points, parameters of policy."""
    return next((unit for end, unit in UNITS.items() if column.endswith(end)), "") if dtype.is_numeric() else ""
