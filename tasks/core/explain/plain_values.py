"""Rows of frames as plain values, for a page that is read and not added up."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import polars as pl

Page = dict[str, Any]


def first_row(frame: pl.DataFrame) -> Page | None:
    """The only row, as plain values; null where there is none."""
    return plain(frame.row(0, named=True)) if frame.height else None


def every_row(frame: pl.DataFrame) -> list[Page]:
    """Every row, as plain values."""
    return [plain(row) for row in frame.iter_rows(named=True)]


def plain(row: Mapping[str, Any]) -> Page:
    """Decimals as floats."""
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in row.items()}


def some_of(row: Mapping[str, Any] | None, names: tuple[str, ...]) -> Page:
    """Some values of a row; null where there is none."""
    return {name: None if row is None else row[name] for name in names}
