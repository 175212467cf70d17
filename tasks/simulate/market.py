"""The market that a simulated broker trades in: half spread, volatility and volume of each security, from a file or as assumed.

A CSV file with a row a security: ``security_id``, ``half_spread_bps``, ``daily_volatility`` (a fraction: 0.02 is 2 % a day), ``daily_volume`` (shares).
What it has no row, no column or no cell for is assumed (``DEFAULTS``). Other columns are passed over.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from schemas.errors import WrongUsage
from tasks.core.broker import MARKET

DEFAULTS: Final[Mapping[str, float]] = {
    "half_spread_bps": 2.0,
    "daily_volatility": 0.02,
    "daily_volume_usd": 50_000_000.0,
}
"""What is assumed; the volume in dollars at the reference price."""
_KEY: Final = "security_id"
_NUMBERS: Final = tuple(name for name in MARKET if name != _KEY)
_MOST: Final[Mapping[str, float]] = {"half_spread_bps": 10_000.0, "daily_volatility": 10.0, "daily_volume": 1e15}
"""A half spread of all of the price, a volatility of ten times it, more shares than there are."""


def market_of(orders: pl.DataFrame, path: Path | None) -> pl.DataFrame:
    """``MARKET``, a row for each security of the orders, sorted.

    Parameters
    ----------
    orders
        ``ORDERS``.
    path
        The file; null: all is assumed.

    Raises
    ------
    WrongUsage
        The file cannot be read, or a number is out of range.
    """
    priced = orders.group_by(_KEY).agg(pl.col("price_usd").max().cast(pl.Float64))
    assumed = {
        "half_spread_bps": pl.lit(DEFAULTS["half_spread_bps"]),
        "daily_volatility": pl.lit(DEFAULTS["daily_volatility"]),
        "daily_volume": (DEFAULTS["daily_volume_usd"] / pl.col("price_usd")).clip(1.0),
    }
    known = pl.DataFrame(schema=MARKET) if path is None else _read(path)
    both = priced.join(known, on=_KEY, how="left").with_columns(
        pl.coalesce(name, value).alias(name) for name, value in assumed.items()
    )
    return both.select(MARKET.keys()).sort(_KEY)


def _read(path: Path) -> pl.DataFrame:
    try:
        found = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        first = str(error).partition("\n")[0]
        raise WrongUsage(f"{path} cannot be read ({first}); needed a CSV with a column {_KEY}") from None
    if _KEY not in found.columns:
        raise WrongUsage(f"{path} has no column {_KEY}; needed {', '.join(MARKET)}")
    whole = found.with_columns(pl.lit(None, pl.String).alias(name) for name in _NUMBERS if name not in found.columns)
    cells = whole.select(MARKET.keys()).with_columns(pl.all().str.strip_chars().replace("", None))
    numbers = cells.with_columns(pl.col(name).cast(pl.Float64, strict=False) for name in _NUMBERS)
    for name in _NUMBERS:
        least = pl.col(name) > 0 if name == "daily_volume" else pl.col(name) >= 0
        is_good = numbers.select((least & (pl.col(name) <= _MOST[name])).fill_null(value=False)).to_series()
        for place in (~is_good & cells[name].is_not_null()).arg_true().head(1):
            above = "above 0" if name == "daily_volume" else "0 or above"
            raise WrongUsage(
                f"{path.name} row {place + 1}: {name} is {cells[name][place]}; needed a number {above}, {_MOST[name]:g} at most"
            )
    twice = numbers.filter(pl.col(_KEY).is_duplicated() | pl.col(_KEY).is_null())
    if twice.height:
        raise WrongUsage(
            f"{path.name} has {twice.height} rows for {twice[_KEY][0] or 'no security'}; needed one a security"
        )
    return numbers
