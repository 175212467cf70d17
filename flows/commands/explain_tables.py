"""The tables of ``trimtab explain``: which columns, and how a cell is written."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
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


def usd(value: float | None) -> str:
    """To the cent; null is empty."""
    return "" if value is None else f"{value:,.2f}"


def number(value: float | None) -> str:
    """At most six digits after the point, no zeros at the end."""
    return "" if value is None else f"{value:,.6f}".rstrip("0").rstrip(".")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def drift_text(value: float | None) -> str:
    """A drift in percent, its sign first."""
    return "" if value is None else f"{value:+.2%}"


def _bps(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


def _day(value: date | None) -> str:
    return "" if value is None else str(value)


def _word(value: str | None) -> str:
    return value or ""


def _drift(key: str, flag: str) -> Column:
    """A drift, marked where the class is out of its band."""
    return key.replace("_", " "), "right", lambda row: f"{'out ' if row[flag] else ''}{drift_text(row[key])}"


def _column(name: str, key: str, show: Callable[[Any], str] = usd) -> Column:
    return name, "left" if show in {_word, _day} else "right", lambda row: show(row[key])


CLASSES_BEFORE: Final = (
    _column("class", "asset_class", _word),
    _column("value", "value_usd"),
    _column("weight", "weight", _percent),
    _column("target", "target_weight", _percent),
    _column("band", "band", _percent),
    _drift("drift", "is_out_of_band"),
)
CLASSES: Final = (
    *CLASSES_BEFORE,
    _column("after", "weight_after", _percent),
    _drift("drift_after", "is_out_of_band_after"),
)
ORDERS: Final = (
    _column("side", "side", _word),
    _column("symbol", "symbol", _word),
    _column("quantity", "quantity", number),
    _column("price", "price_usd", number),
    _column("value", "value_usd"),
    _column("spread", "est_cost_usd"),
    _column("tax", "est_tax_usd"),
    _column("benefit bps", "marginal_benefit_bps", _bps),
    _column("cost bps", "marginal_cost_bps", _bps),
    _column("worth", "worth_usd"),
)
LOTS: Final = (
    _column("symbol", "symbol", _word),
    _column("lot", "lot_id", _word),
    _column("quantity", "quantity", number),
    _column("unit cost", "unit_cost_usd", number),
    _column("acquired", "acquired_date", _day),
    _column("term", "term", _word),
    _column("gain", "gain_usd"),
    _column("tax at own rate", "tax_at_own_rate_usd"),
)
SCENARIOS: Final = (
    _column("scenario", "scenario", _word),
    _column("penalty", "tracking_penalty", number),
    _column("to band", "trade_to", _percent),
    _column("drift", "one_way_drift_after", _percent),
    _column("tax", "est_tax_usd"),
    _column("cost", "est_cost_usd"),
    _column("turnover", "turnover", _percent),
    _column("orders", "order_count", number),
    _column("objective", "objective_usd"),
    _column("", "is_chosen", lambda is_chosen: "chosen" if is_chosen else ""),
)
TERMS: Final = (
    _column("term", "term", _word),
    _column("rate", "rate", _percent),
    _column("before", "before_usd"),
    _column("tonight", "tonight_usd"),
    _column("disallowed", "disallowed_usd"),
    _column("after", "after_usd"),
    _column("next dollar at", "marginal_rate", _percent),
)
LIMITS: Final = (
    _column("limit", "limit", lambda word: word.replace("_", " ")),
    _column("most", "most", lambda most: "none" if most is None else usd(most)),
    _column("used", "used"),
    _column("price bps", "price_bps", _bps),
    _column("", "is_binding", lambda is_binding: "binds" if is_binding else ""),
)
LOSSES: Final = (
    _column("class", "asset_class", _word),
    _column("at a loss", "held_usd"),
    _column("may be sold", "room_usd"),
    _column("is sold", "sold_usd"),
    _column("outright", "harvested_usd"),
    _column("price bps", "price_bps", _bps),
    _column("", "is_binding", lambda is_binding: "binds" if is_binding else ""),
)
WAYS: Final = (
    _column("class", "asset_class", _word),
    _column("way", "way", _word),
    _column("off before", "over_usd"),
    _column("off after", "off_usd"),
    _column("sell: worth", "sell_worth_bps", _bps),
    _column("cost", "sell_cost_bps", _bps),
    _column("buy: worth", "buy_worth_bps", _bps),
    _column("cost", "buy_cost_bps", _bps),
)
