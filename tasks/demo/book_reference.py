"""The sample book's fixed tables: securities, models, buy lists and where classes are held best; policies stand apart.

Tickers are real, and so are their prices (``tasks.demo.sample`` reads them); names of models and policies are ours. Every class
of every model, ``cash`` too, has the 5/25 band: five percentage points or a quarter of the target, whichever is less.
"""

from typing import Final, NamedTuple

import numpy as np
import polars as pl

from schemas.landing_columns import CASH, dtypes
from tasks.demo.book_policies import policies
from tasks.demo.book_types import DailyCloses, Floats, exact

ABSOLUTE_BAND: Final = 0.05
RELATIVE_BAND: Final = 0.25


class SecurityFacts(NamedTuple):
    """One security: its ticker, name, class and half of the quoted spread in basis points."""

    symbol: str
    name: str
    asset_class: str
    half_spread_bps: float


STOCKS: Final = (
    SecurityFacts("AAPL", "Apple Inc.", "technology", 0.5),
    SecurityFacts("AMD", "Advanced Micro Devices Inc.", "technology", 1.0),
    SecurityFacts("BAC", "Bank of America Corp.", "financials", 1.5),
    SecurityFacts("BBY", "Best Buy Co. Inc.", "consumer_discretionary", 3.0),
    SecurityFacts("CVX", "Chevron Corp.", "energy", 1.0),
    SecurityFacts("GE", "General Electric Co.", "industrials", 2.0),
    SecurityFacts("HD", "Home Depot Inc.", "consumer_discretionary", 1.0),
    SecurityFacts("JNJ", "Johnson & Johnson", "health_care", 0.8),
    SecurityFacts("JPM", "JPMorgan Chase & Co.", "financials", 0.7),
    SecurityFacts("KO", "Coca-Cola Co.", "consumer_staples", 0.9),
    SecurityFacts("LLY", "Eli Lilly and Co.", "health_care", 2.0),
    SecurityFacts("MRK", "Merck & Co. Inc.", "health_care", 1.0),
    SecurityFacts("MSFT", "Microsoft Corp.", "technology", 0.5),
    SecurityFacts("PEP", "PepsiCo Inc.", "consumer_staples", 1.0),
    SecurityFacts("PFE", "Pfizer Inc.", "health_care", 1.2),
    SecurityFacts("PG", "Procter & Gamble Co.", "consumer_staples", 0.8),
    SecurityFacts("RRC", "Range Resources Corp.", "energy", 5.0),
    SecurityFacts("UNH", "UnitedHealth Group Inc.", "health_care", 1.5),
    SecurityFacts("WMT", "Walmart Inc.", "consumer_staples", 0.8),
    SecurityFacts("XOM", "Exxon Mobil Corp.", "energy", 0.8),
)
FUNDS: Final = (
    SecurityFacts("MTUM", "iShares MSCI USA Momentum Factor ETF", "momentum", 1.5),
    SecurityFacts("QUAL", "iShares MSCI USA Quality Factor ETF", "quality", 1.0),
    SecurityFacts("SIZE", "iShares MSCI USA Size Factor ETF", "size", 4.0),
    SecurityFacts("USMV", "iShares MSCI USA Min Vol Factor ETF", "min_volatility", 1.0),
    SecurityFacts("VLUE", "iShares MSCI USA Value Factor ETF", "value", 1.5),
)
SECURITIES: Final = STOCKS + FUNDS
SYMBOLS: Final = tuple(security.symbol for security in SECURITIES)
"""Tickers, which are the security identifiers too, in the order of every array of securities."""
UNITS_PER_SHARE: Final = np.array([1] * len(STOCKS) + [1000] * len(FUNDS), dtype=np.int64)
"""How many quantity steps make a share: stocks trade whole, funds in thousandths."""

CLASSES: Final = (*dict.fromkeys(security.asset_class for security in SECURITIES), CASH)
"""Asset classes in the order of every array of classes; cash is last."""
CLASS_OF: Final = np.array([CLASSES.index(security.asset_class) for security in SECURITIES], dtype=np.int64)

MODELS: Final[dict[str, dict[str, float]]] = {
    "capital_preservation": {
        "min_volatility": 0.36, "quality": 0.14, "consumer_staples": 0.12, "health_care": 0.12, "value": 0.10,
        "energy": 0.06, CASH: 0.10,
    },
    "conservative_income": {
        "min_volatility": 0.26, "consumer_staples": 0.14, "health_care": 0.14, "value": 0.14, "quality": 0.10,
        "financials": 0.08, "energy": 0.08, CASH: 0.06,
    },
    "conservative": {
        "min_volatility": 0.22, "quality": 0.14, "consumer_staples": 0.12, "health_care": 0.12, "value": 0.12,
        "financials": 0.08, "technology": 0.06, "energy": 0.05, "industrials": 0.04, CASH: 0.05,
    },
    "moderate": {
        "technology": 0.12, "health_care": 0.12, "min_volatility": 0.12, "quality": 0.12, "financials": 0.10,
        "consumer_staples": 0.10, "value": 0.08, "consumer_discretionary": 0.06, "energy": 0.06, "industrials": 0.04,
        "size": 0.04, CASH: 0.04,
    },
    "balanced": {
        "technology": 0.14, "health_care": 0.11, "financials": 0.10, "quality": 0.10, "consumer_staples": 0.08,
        "momentum": 0.08, "consumer_discretionary": 0.07, "min_volatility": 0.07, "energy": 0.06, "value": 0.06,
        "industrials": 0.05, "size": 0.05, CASH: 0.03,
    },
    "dividend_value": {
        "value": 0.22, "consumer_staples": 0.20, "financials": 0.16, "health_care": 0.16, "energy": 0.14,
        "industrials": 0.08, CASH: 0.04,
    },
    "growth": {
        "technology": 0.24, "momentum": 0.14, "health_care": 0.12, "financials": 0.10, "consumer_discretionary": 0.10,
        "quality": 0.08, "energy": 0.06, "consumer_staples": 0.05, "industrials": 0.05, "size": 0.04, CASH: 0.02,
    },
    "aggressive": {
        "technology": 0.36, "momentum": 0.18, "consumer_discretionary": 0.14, "financials": 0.10, "health_care": 0.08,
        "energy": 0.06, "size": 0.06, CASH: 0.02,
    },
    "factor_defensive": {"min_volatility": 0.55, "quality": 0.25, "value": 0.15, CASH: 0.05},
    "factor_blend": {"momentum": 0.19, "quality": 0.19, "size": 0.19, "min_volatility": 0.19, "value": 0.19, CASH: 0.05},
    "factor_growth": {"momentum": 0.42, "quality": 0.30, "size": 0.18, "value": 0.08, CASH: 0.02},
}  # fmt: skip
"""Targets, fractions of 1. Cautious to aggressive, then three of funds alone that suit small accounts."""
MODEL_IDS: Final = tuple(MODELS)
FUND_MODELS: Final = tuple(i for i, model in enumerate(MODEL_IDS) if model.startswith("factor_"))
MIXED_MODELS: Final = tuple(i for i in range(len(MODEL_IDS)) if i not in FUND_MODELS)

PREFERENCE: Final[dict[str, tuple[str, ...]]] = {
    "technology": ("MSFT", "AAPL", "AMD"),
    "financials": ("JPM", "BAC"),
    "consumer_staples": ("PG", "KO", "PEP", "WMT"),
    "consumer_discretionary": ("HD", "BBY"),
    "energy": ("XOM", "CVX", "RRC"),
    "health_care": ("JNJ", "MRK", "UNH", "LLY", "PFE"),
}
"""Buy list of the classes that have a choice, first choice first."""
ONLY_FOR: Final = {
    ("aggressive", "AMD"): "tax_deferred",
    ("growth", "BBY"): "tax_exempt",
    ("dividend_value", "CVX"): "taxable",
}
"""Entries of the buy list that serve accounts of one tax status only."""
RARELY_BOUGHT: Final = "RRC"
"""Nobody's first choice; a firm-wide restriction forbids buying it."""

LOCATION: Final[dict[str, dict[tuple[str, str], float]]] = {
    "balanced": {
        ("min_volatility", "taxable"): 12.0, ("consumer_staples", "taxable"): 10.0, ("technology", "tax_deferred"): 6.0,
    },
    "moderate": {("value", "taxable"): 10.0, ("technology", "tax_deferred"): 6.0},
}  # fmt: skip
"""What holding a class costs in accounts of a tax status, in basis points, of the models that mind."""


def target_matrix() -> Floats:
    """Target weight of each model (rows) and class (columns); 0 where the model leaves the class out."""
    return np.array([[targets.get(name, 0.0) for name in CLASSES] for targets in MODELS.values()])


LEFT_OUT: Final = frozenset({"cusip", "isin", "order_in"})
"""Columns of securities that the book leaves out, as a source may: these securities are ordered in shares, by symbol."""


def reference_tables(market: DailyCloses) -> dict[str, pl.DataFrame]:
    """The landing tables without a row per account: securities, prices, models, buy lists, policies, locations; no corporate action."""
    return {
        "securities": securities(),
        "prices": prices(market),
        "model_targets": model_targets(),
        "policies": policies(),
        "buy_list": buy_list(),
        "location_preferences": location_preferences(),
        "corporate_actions": pl.DataFrame(schema=dtypes("corporate_actions")),
    }


def securities() -> pl.DataFrame:
    """One row a security, all tradable."""
    rows = [
        {
            **security._asdict(),
            "security_id": security.symbol,
            "security_type": "etf" if security in FUNDS else "equity",
            "is_tradable": True,
            "price_factor": None,
            "exchange": None,
        }
        for security in SECURITIES
    ]
    step = pl.Series("quantity_step", 1 / UNITS_PER_SHARE)
    return _landing("securities", pl.DataFrame(rows).with_columns(exact(step))).drop(LEFT_OUT)


def prices(market: DailyCloses) -> pl.DataFrame:
    """Close of each security on the as-of date."""
    closes = exact(pl.Series("price_usd", market.closes[-1]))
    frame = pl.DataFrame({"security_id": SYMBOLS, "price_usd": closes})
    return _landing("prices", frame.with_columns(price_date=pl.lit(market.as_of_date)))


def model_targets() -> pl.DataFrame:
    """One row a model and class."""
    rows = [(model, name, target) for model, targets in MODELS.items() for name, target in targets.items()]
    frame = pl.DataFrame(rows, schema=["model_id", "asset_class", "target_weight"], orient="row")
    return _landing(
        "model_targets", frame.with_columns(absolute_band=pl.lit(ABSOLUTE_BAND), relative_band=pl.lit(RELATIVE_BAND))
    )


def buy_list() -> pl.DataFrame:
    """One row a model, class and security, ranked from 1 within the class; cash has none."""
    rows = [
        (model, name, symbol, rank, ONLY_FOR.get((model, symbol)))
        for model, targets in MODELS.items()
        for name in targets
        for rank, symbol in enumerate(_symbols_by_rank(name), start=1)
    ]
    names = list(dtypes("buy_list"))
    return pl.DataFrame(rows, schema=dict(zip(names, dtypes("buy_list").values(), strict=True)), orient="row")


def location_preferences() -> pl.DataFrame:
    """One row a model, class and tax status that costs something."""
    rows = [(model, *where, cost) for model, costs in LOCATION.items() for where, cost in costs.items()]
    return pl.DataFrame(rows, schema=dtypes("location_preferences"), orient="row")


def _symbols_by_rank(asset_class: str) -> tuple[str, ...]:
    alone = tuple(security.symbol for security in SECURITIES if security.asset_class == asset_class)
    return PREFERENCE.get(asset_class, alone)


def _landing(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with the contract's columns; one that it has nothing for is empty."""
    given = {name: pl.col(name) if name in frame.columns else pl.lit(None) for name in dtypes(table)}
    return frame.select(given[name].cast(dtype).alias(name) for name, dtype in dtypes(table).items())
