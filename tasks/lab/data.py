"""What markets did: packaged data, which stand in the wheels of other packages, or a file of one's own.

| data | steps | classes | from |
|---|---|---|---|
| ``us_1926_2018`` | monthly | ``stocks`` (all US shares), ``bonds``, ``bills`` | ``arch``: K. French's factors; Moody's Aaa yields |
| ``us_styles_1949_2017`` | monthly | ``growth``, ``value``, ``momentum``, ``income``, ``index``, ``bills``, 12 industries | ``linearmodels``: K. French's portfolios |
| ``us_stocks_1990_2022`` | daily | 20 US shares by their symbols | ``skfolio`` |
| ``us_factors_2014_2022`` | daily | five factor funds by their symbols | ``skfolio`` |

All are total returns. ``bonds``: each month a bond of 20 years is bought at par at the yield of the month before, with half-yearly coupons, and is priced a month
later at the month's yield. ``growth``, ``value``, ``momentum``: the mean of three sizes of the fifth with the lowest book-to-market, the highest, and the best past
year; ``income``: utilities, which stand for it; ``index``: the whole market. Prices of ``skfolio`` are adjusted for dividends and there are no bills beside them: Sharpe's ratio
is of the whole return there.

Known limits: Aaa yields are means of a month, which smooths what bonds do; the 20 shares are those that were left at the end.
"""

import hashlib
import io
from datetime import timedelta
from pathlib import Path
from typing import Final, get_args

import numpy as np
import polars as pl

from schemas.errors import WrongUsage
from schemas.lab import DataSet, MarketSection, Study
from schemas.mappings import suggest_name
from tasks.core.lab import MarketHistory, month_end
from tasks.core.solver import Floats
from tasks.runtime import wheel_file

HINT: Final = "pip install 'trimtab[lab]' brings them."
FRENCH: Final = ("arch", "arch/data/frenchdata/frenchdata.csv.gz")
YIELDS: Final = ("arch", "arch/data/default/default.csv.gz")
STYLES: Final = ("linearmodels", "linearmodels/datasets/french/french.csv.bz2")
PRICES: Final = {
    "us_stocks_1990_2022": ("skfolio", "skfolio/datasets/data/sp500_dataset.csv.gz"),
    "us_factors_2014_2022": ("skfolio", "skfolio/datasets/data/factors_dataset.csv.gz"),
}
INDUSTRIES: Final = (
    "NoDur",
    "Durbl",
    "Manuf",
    "Enrgy",
    "Chems",
    "BusEq",
    "Telcm",
    "Utils",
    "Shops",
    "Hlth",
    "Money",
    "Other",
)
MATURITY_YEARS: Final = 20
PERCENT: Final = 0.01
MONTHLY: Final = 12.0
DAILY: Final = 252.0
SHORTEST_MONTH: Final = 28
FILE_COLUMNS: Final = ("date", "asset_class", "total_return", "dividend_yield")


def read_history(study: Study) -> MarketHistory | None:
    """The data that a study's market is of; null where it is drawn from moments.

    Raises
    ------
    WrongUsage
        They are not installed, or the file is not there, is not what it was when the study was read, or cannot be used.
    """
    market = study.market
    if market.source == "lognormal":
        return None
    if market.source == "file":
        return _of_file(market)
    return packaged_history(str(market.data))


def packaged_history(name: str) -> MarketHistory:
    """Packaged data by their name.

    Raises
    ------
    WrongUsage
        There are none of that name, or they are not installed.
    """
    if name in PRICES:
        return _of_prices(*PRICES[name])
    if name not in get_args(DataSet):
        raise WrongUsage(f"there are no data {name}\n\nHint: {suggest_name(name, get_args(DataSet))}")
    return _us_1926() if name == "us_1926_2018" else _us_styles()


def content_hash(path: Path) -> str:
    """SHA-256 of a file.

    Raises
    ------
    WrongUsage
        It cannot be read.
    """
    return hashlib.sha256(_content(path)).hexdigest()


def par_bond_returns(yields: Floats) -> Floats:
    """Return of each month but the first: a bond of 20 years bought at par, priced a month later at that month's yield.

    Parameters
    ----------
    yields
        By month, fractions a year, compounded half-yearly. The price is that with accrued interest.
    """
    coupon, rate = yields[:-1] / 2, yields[1:] / 2
    periods = np.arange(1, 2 * MATURITY_YEARS + 1)[:, None] - 1 / 6
    discounts = (1 + rate) ** -periods
    return np.asarray((coupon * discounts).sum(axis=0) + discounts[-1] - 1)


def _table(place: tuple[str, str]) -> pl.DataFrame:
    return pl.read_csv(wheel_file(*place, what="the data of studies", hint=HINT), infer_schema_length=None)


def _us_1926() -> MarketHistory:
    factors, yields = _table(FRENCH), _table(YIELDS)
    stocks = factors.select(
        (pl.col("Date").cast(pl.String) + pl.lit("01")).str.to_date("%Y%m%d").alias("month"),
        stocks=(pl.col("Mkt-RF") + pl.col("RF")) * PERCENT,
        bills=pl.col("RF") * PERCENT,
    )
    by_month = yields.select(pl.col("Date").str.to_date("%m/%d/%Y").alias("month"), rate=pl.col("AAA") * PERCENT).sort(
        "month"
    )
    bonds = by_month[1:].select("month", bonds=pl.Series(par_bond_returns(by_month["rate"].to_numpy())))
    rows = stocks.join(bonds, on="month", how="inner", maintain_order="left")
    return _of_months(rows, ("stocks", "bonds", "bills"))


def _us_styles() -> MarketHistory:
    sizes = ("S1", "S3", "S5")
    rows = _table(STYLES).select(
        pl.col("dates").str.to_date().alias("month"),
        growth=pl.mean_horizontal(f"{size}V1" for size in sizes),
        value=pl.mean_horizontal(f"{size}V5" for size in sizes),
        momentum=pl.mean_horizontal(f"{size}M5" for size in sizes),
        income=pl.col("Utils"),
        index=pl.col("MktRF") + pl.col("RF"),
        bills=pl.col("RF"),
        **{name.lower(): pl.col(name) for name in INDUSTRIES},
    )
    return _of_months(rows, tuple(rows.columns[1:]))


def _of_months(rows: pl.DataFrame, classes: tuple[str, ...]) -> MarketHistory:
    """``rows``: ``month``, any day of it, and a total return by class, ``bills`` among them."""
    months = rows["month"].to_list()
    return MarketHistory(
        dates=[month_end(months[0], -1), *(month_end(month, 0) for month in months)],
        classes=classes,
        total_return=rows.select(classes).to_numpy(),
        risk_free=rows["bills"].to_numpy(),
        steps_per_year=MONTHLY,
        dividend_yields={},
    )


def _of_prices(package: str, path: str) -> MarketHistory:
    rows = _table((package, path)).with_columns(pl.col("Date").str.to_date()).sort("Date")
    prices = rows.drop("Date").to_numpy()
    return MarketHistory(
        dates=rows["Date"].to_list(),
        classes=tuple(rows.columns[1:]),
        total_return=prices[1:] / prices[:-1] - 1,
        risk_free=np.zeros(len(prices) - 1),
        steps_per_year=DAILY,
        dividend_yields={},
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WrongUsage(
            f"{path} cannot be read: {error.strerror}\n\nHint: path of [market] names a CSV file from the folder of the study."
        ) from error


def _of_file(market: MarketSection) -> MarketHistory:
    """A file of one's own: each class on each date; the first date's returns are of the step that ends there."""
    path = Path(str(market.path))
    content = _content(path)
    if hashlib.sha256(content).hexdigest() != market.content_hash:
        raise WrongUsage(
            f"{path} is not what it was when the study was read\n\nHint: run the study again: it is another one now."
        )
    try:
        rows = pl.read_csv(
            io.BytesIO(content),
            schema_overrides={
                "date": pl.Date,
                "asset_class": pl.String,
                "total_return": pl.Float64,
                "dividend_yield": pl.Float64,
            },
        ).select(FILE_COLUMNS)
    except pl.exceptions.PolarsError as error:
        raise _unusable(path, f"cannot be read as {', '.join(FILE_COLUMNS)} ({str(error).splitlines()[0]})") from error
    if fault := _fault_of(rows):
        raise _unusable(path, fault)
    wide = rows.pivot("asset_class", index="date", values="total_return").sort("date")
    classes = tuple(sorted(set(wide.columns) - {"date"}))
    dates = wide["date"].to_list()
    is_monthly = len(dates) == 1 or (dates[-1] - dates[0]).days / (len(dates) - 1) > SHORTEST_MONTH - 1
    begin = month_end(dates[0], -1) if is_monthly else dates[0] - timedelta(days=1)
    return MarketHistory(
        dates=[begin, *dates],
        classes=classes,
        total_return=wide.select(classes).to_numpy(),
        risk_free=wide["bills"].to_numpy() if "bills" in classes else np.zeros(len(dates)),
        steps_per_year=MONTHLY if is_monthly else DAILY,
        dividend_yields=dict(
            rows.group_by("asset_class")
            .agg(pl.col("dividend_yield").fill_null(0.0).mean())
            .sort("asset_class")
            .iter_rows()
        ),
    )


def _fault_of(rows: pl.DataFrame) -> str | None:
    """What is wrong with the rows of a file; null: nothing."""
    if rows.is_empty():
        return "has no rows"
    if rows.select("date", "asset_class", "total_return").null_count().sum_horizontal().item():
        return "has a row without date, asset class or return"
    wrong = rows.filter(~pl.col("total_return").is_finite() | (pl.col("total_return") <= -1))
    if wrong.height:
        return f"has a return of {wrong['total_return'][0]} on {wrong['date'][0]}; needed fractions above -1"
    yields = pl.col("dividend_yield").fill_null(0.0)
    if rows.filter(~yields.is_between(0.0, 1.0, closed="left") | yields.is_nan()).height:
        return "has a dividend yield that is no fraction of 1"
    if rows.select("date", "asset_class").is_duplicated().any():
        return "has a date of a class twice"
    dates, classes = rows["date"].n_unique(), rows["asset_class"].n_unique()
    return (
        None
        if rows.height == dates * classes
        else f"has {rows.height} rows for {dates} dates of {classes} classes; needed each class on each date"
    )


def _unusable(path: Path, fault: str) -> WrongUsage:
    return WrongUsage(f"{path} {fault}\n\nHint: docs/how-to/lab.md has the form of a market's file.")
