"""The tables of ``trimtab explain``: which columns, and how a cell is written."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

Page = Mapping[str, Any]
Column = tuple[str, Literal["left", "right"], Callable[[Page], str]]
"""Heading, where its cells stand, and the cell of a row."""


def print_rows(console: Console, columns: Iterable[Column], rows: Iterable[Page]) -> None:
    """A table as wide as its cells; cells are text, whatever they hold."""
    table, kept = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 0, 0, 1), pad_edge=False), list(columns)
    for name, justify, _ in kept:
        table.add_column(name, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(row)) for _, _, cell in kept))
    console.print(table)


def usd(value: float | Decimal | None) -> str:
    """To the cent; null is empty."""
    return "" if value is None else f"{value:,.2f}"


def number(value: float | Decimal | None) -> str:
    """At most six digits after the point, no zeros at the end."""
    return "" if value is None else f"{value:,.6f}".rstrip("0").rstrip(".")


def percent_text(value: float | None) -> str:
    """In percent; null is empty."""
    return "" if value is None else f"{value:.2%}"


def drift_text(value: float | None) -> str:
    """A drift in percent, its sign first."""
    return "" if value is None else f"{value:+.2%}"


def _bps(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


def day_text(value: date | None) -> str:
    """ISO 8601; null is empty."""
    return "" if value is None else str(value)


def word_text(value: str | None) -> str:
    """As it is; null is empty."""
    return value or ""


def _drift(key: str, flag: str) -> Column:
    """A drift, marked where the class is out of its band."""
    return key.replace("_", " "), "right", lambda row: f"{'out ' if row[flag] else ''}{drift_text(row[key])}"


def column(name: str, key: str, show: Callable[[Any], str] = usd) -> Column:
    """A column of one value of each row, written by ``show``; words and dates stand left."""
    return name, "left" if show in {word_text, day_text} else "right", lambda row: show(row[key])


CLASSES_BEFORE: Final = (
    column("class", "asset_class", word_text),
    column("value", "value_usd"),
    column("weight", "weight", percent_text),
    column("target", "target_weight", percent_text),
    column("band", "band", percent_text),
    _drift("drift", "is_out_of_band"),
)
CLASSES: Final = (
    *CLASSES_BEFORE,
    column("after", "weight_after", percent_text),
    _drift("drift_after", "is_out_of_band_after"),
)
ORDERS: Final = (
    column("side", "side", word_text),
    column("symbol", "symbol", word_text),
    column("quantity", "quantity", number),
    column("price", "price_usd", number),
    column("value", "value_usd"),
    column("spread", "est_cost_usd"),
    column("tax", "est_tax_usd"),
    column("benefit bps", "marginal_benefit_bps", _bps),
    column("cost bps", "marginal_cost_bps", _bps),
    column("worth", "worth_usd"),
)
LOTS: Final = (
    column("symbol", "symbol", word_text),
    column("lot", "lot_id", word_text),
    column("quantity", "quantity", number),
    column("unit cost", "unit_cost_usd", number),
    column("acquired", "acquired_date", day_text),
    column("term", "term", word_text),
    column("gain", "gain_usd"),
    column("tax at own rate", "tax_at_own_rate_usd"),
)
SCENARIOS: Final = (
    column("scenario", "scenario", word_text),
    column("penalty", "tracking_penalty", number),
    column("to band", "trade_to", percent_text),
    column("drift", "one_way_drift_after", percent_text),
    column("tax", "est_tax_usd"),
    column("cost", "est_cost_usd"),
    column("turnover", "turnover", percent_text),
    column("orders", "order_count", number),
    column("objective", "objective_usd"),
    column("", "is_chosen", lambda is_chosen: "chosen" if is_chosen else ""),
)
TERMS: Final = (
    column("term", "term", word_text),
    column("rate", "rate", percent_text),
    column("before", "before_usd"),
    column("tonight", "tonight_usd"),
    column("disallowed", "disallowed_usd"),
    column("after", "after_usd"),
    column("next dollar at", "marginal_rate", percent_text),
)
LIMITS: Final = (
    column("limit", "limit", lambda word: word.replace("_", " ")),
    column("most", "most", lambda most: "none" if most is None else usd(most)),
    column("used", "used"),
    column("price bps", "price_bps", _bps),
    column("", "is_binding", lambda is_binding: "binds" if is_binding else ""),
)
LOSSES: Final = (
    column("class", "asset_class", word_text),
    column("at a loss", "held_usd"),
    column("may be sold", "room_usd"),
    column("is sold", "sold_usd"),
    column("outright", "harvested_usd"),
    column("price bps", "price_bps", _bps),
    column("", "is_binding", lambda is_binding: "binds" if is_binding else ""),
)
WAYS: Final = (
    column("class", "asset_class", word_text),
    column("way", "way", word_text),
    column("off before", "over_usd"),
    column("off after", "off_usd"),
    column("sell: worth", "sell_worth_bps", _bps),
    column("cost", "sell_cost_bps", _bps),
    column("buy: worth", "buy_worth_bps", _bps),
    column("cost", "buy_cost_bps", _bps),
)
