"""What stands in a Flex file's attributes as plain text, and the fields that the reader adds to them.

1. An attribute is read as ``ibflex`` types it: numbers lose thousands separators and trailing zeros, days are
   ``YYYY-MM-DD``, times ``YYYY-MM-DDTHH:MM:SS`` (a day alone is its midnight), and ``""``, ``-``, ``--`` and ``N/A`` are null. What
   does not fit its type stands as it is, so that the row is quarantined with it.
2. ``ADDED`` fields are worked out from several attributes, each as exactly as they are.

Known limits: the zone of a time is dropped, so a day is the day at the place the statement speaks of.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, time
from decimal import Decimal
from functools import lru_cache
from typing import Final

import polars as pl
from ibflex import Types
from ibflex.parser import ATTRIB_CONVERTERS, FlexParserError, convert_string

ADDED: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "OpenPosition": {
        "level": ("accountId", "conid", "position", "levelOfDetail"),
        "holding": ("accountId", "conid", "position", "levelOfDetail"),
        "shares": ("position", "assetCategory", "multiplier"),
        "lot": (
            "accountId",
            "conid",
            "levelOfDetail",
            "originatingTransactionID",
            "originatingOrderID",
            "openDateTime",
        ),
    },
    "CashReportCurrency": {
        "level": ("currency",),
        "unsettledCash": ("endingCash", "endingSettledCash"),
    },
    "Trade": {"gain": ("buySell", "fifoPnlRealized")},
}
"""Fields that the reader adds to a kind of element, and the attributes that each is made of."""
OPTIONAL: Final = frozenset({"originatingTransactionID", "originatingOrderID"})
"""Attributes that a query may leave out though an added field looks at them."""

_DAY: Final = r"[0-9]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME: Final = re.compile(
    rf"^(?P<day>{_DAY})(?P<time>(?:[;,T ] ?)?[0-9]{{2}}:?[0-9]{{2}}:?[0-9]{{2}})?(?: [A-Z]{{2,5}})?$"
)
_GROUPED: Final = re.compile(r"^[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?$")
_WIDEST: Final = 40
_SHARES: Final = ("STK", "FUND")
"""Asset categories whose unit is a share, priced by the share."""
_EXACT: Final = pl.Decimal(38, 10)


def is_day(text: str) -> bool:
    """Whether the text is a day in a form that cannot be mistaken for another."""
    try:
        return _TIME.match(text) is not None and _day(text) is not None
    except FlexParserError:
        return False


def plain_cells(kind: str, cells: pl.DataFrame) -> pl.DataFrame:
    """Attributes of a kind of element as plain text."""
    types: Mapping[str, str] = getattr(getattr(Types, kind, None), "__annotations__", {})
    return cells.select(_plain(cells[name], types.get(name, "str")) for name in cells.columns)


def _plain(cells: pl.Series, annotation: str) -> pl.Series:
    """Each text that occurs is read once."""
    written: Callable[[str], str | None] = _WRITERS.get(annotation.removesuffix(" | None"), convert_string)
    found = cells.drop_nulls().unique()
    texts = pl.Series([_as_text(written, text) for text in found.to_list()], dtype=pl.String)
    return cells.replace_strict(found, texts, default=None, return_dtype=pl.String)


def _as_text(writer: Callable[[str], str | None], text: str) -> str | None:
    try:
        return writer(text) if convert_string(text) else None
    except FlexParserError:
        return text


def _number(text: str) -> str | None:
    if "," in text and not _GROUPED.match(text):
        return text
    number: Decimal = ATTRIB_CONVERTERS["decimal.Decimal"](value=text)
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or abs(exponent) + len(digits) > _WIDEST:
        return text
    plain = f"{number:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _day(text: str) -> str | None:
    found = _TIME.match(text)
    return text if found is None else _iso("datetime.date", found["day"])


def _moment(text: str) -> str | None:
    found = _TIME.match(text)
    if found is None:
        return None if text == "MULTI" else text
    clock = (found["time"] or "000000").lstrip(";,T ")
    return f"{_iso('datetime.date', found['day'])}T{_iso('datetime.time', clock)}"


@lru_cache(maxsize=1 << 17)
def _iso(annotation: str, text: str) -> str:
    """A day or a time; there are few of them."""
    value: date | time = ATTRIB_CONVERTERS[annotation](value=text)
    return value.isoformat()


_WRITERS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "decimal.Decimal": _number,
    "datetime.date": _day,
    "datetime.datetime": _moment,
}


def with_added(kind: str, cells: pl.DataFrame, wanted: frozenset[str]) -> pl.DataFrame:
    """The cells with those of the kind's added fields that are wanted. Needs whole statements."""
    added = {name: make for name, make in _MAKERS.get(kind, {}).items() if name in wanted}
    return cells.with_columns(make(cells).alias(name) for name, make in added.items())


def _level_of_position(cells: pl.DataFrame) -> pl.Series:
    """``levelOfDetail``; ``GAP`` for the summary of a holding that its lots do not add up to."""
    level = pl.col("levelOfDetail").str.to_uppercase()
    return cells.select(pl.when(_gap(cells).is_not_null()).then(pl.lit("GAP")).otherwise(level)).to_series()


def _gap(cells: pl.DataFrame) -> pl.Series:
    """How the lots of a holding differ from its summary, in words; null where they do not, and for what is no summary."""
    holding, level = pl.struct("accountId", "conid"), pl.col("levelOfDetail").str.to_uppercase()
    units = pl.col("position").cast(_EXACT, strict=False)
    lots, summary = (units.filter(level == name).sum().over(holding) for name in ("LOT", "SUMMARY"))
    count = (level == "LOT").sum().over(holding)
    texts = [_number_text(summary), _number_text(lots), count, _number_text((lots - summary).abs())]
    words = pl.format("{} by its summary and {} by the sum of its lots ({}), {} apart", *texts)
    unread = pl.format("{} by its summary", pl.col("position").fill_null("nothing"))
    is_gap = (level == "SUMMARY") & ((lots != summary) | units.is_null())
    return cells.select(pl.when(is_gap).then(pl.when(units.is_null()).then(unread).otherwise(words))).to_series()


def _shares(cells: pl.DataFrame) -> pl.Series:
    """``position`` where a unit is a share, else ``10 OPT x 100``, which no number reads."""
    is_share = pl.col("assetCategory").is_in(_SHARES) & (pl.col("multiplier") == "1")
    words = pl.format(
        "{} {} x {}", *(pl.col(name).fill_null("?") for name in ("position", "assetCategory", "multiplier"))
    )
    return cells.select(pl.when(is_share).then("position").otherwise(words)).to_series()


def _lot(cells: pl.DataFrame) -> pl.Series:
    """Transaction that opened the lot, else order and time; the second of the same name ends in ``-2``. Null for what is no lot."""
    transaction, order = (
        pl.col(name) if name in cells.columns else pl.lit(None, pl.String)
        for name in ("originatingTransactionID", "originatingOrderID")
    )
    time = pl.col("openDateTime").str.replace_all("[-:]", "")
    opened = pl.concat_str(order, time, separator="-", ignore_nulls=True)
    is_lot = pl.col("levelOfDetail").str.to_uppercase() == "LOT"
    name = pl.coalesce(transaction, pl.when(opened != "").then(opened))
    named = cells.select("accountId", "conid", name=pl.when(is_lot).then(name))
    place = pl.col("name").cum_count().over("accountId", "conid", "name")
    return named.select(pl.when(place > 1).then(pl.format("{}-{}", "name", place)).otherwise("name")).to_series()


def _level_of_cash(cells: pl.DataFrame) -> pl.Series:
    """``CURRENCY``; ``BASE`` for the sum in the base currency."""
    is_base = pl.col("currency") == "BASE_SUMMARY"
    return cells.select(pl.when(is_base).then(pl.lit("BASE")).otherwise(pl.lit("CURRENCY"))).to_series()


def _unsettled_cash(cells: pl.DataFrame) -> pl.Series:
    """``endingCash`` less ``endingSettledCash``; null where one of them is no number."""
    ending, settled = (pl.col(name).cast(_EXACT, strict=False) for name in ("endingCash", "endingSettledCash"))
    return cells.select(_number_text(ending - settled)).to_series()


def _number_text(number: pl.Expr) -> pl.Expr:
    """A decimal as text without zeros that say nothing."""
    return number.cast(pl.String).str.strip_chars_end("0").str.strip_suffix(".")


def _gain(cells: pl.DataFrame) -> pl.Series:
    """``fifoPnlRealized`` of what is not a purchase."""
    return cells.select(pl.when(pl.col("buySell") != "BUY").then("fifoPnlRealized")).to_series()


_MAKERS: Final[Mapping[str, Mapping[str, Callable[[pl.DataFrame], pl.Series]]]] = {
    "OpenPosition": {"level": _level_of_position, "holding": _gap, "shares": _shares, "lot": _lot},
    "CashReportCurrency": {"level": _level_of_cash, "unsettledCash": _unsettled_cash},
    "Trade": {"gain": _gain},
}
