"""Reports of a simulated broker as a file that ``trimtab reconcile`` reads, in each of its formats.

Every format has every fill, bust and correction. A Flex statement is of trades alone: it has no acknowledgements, rejections or cancellations, and
what was corrected stands in it as a trade that was cancelled and booked again.
"""

from collections.abc import Callable, Mapping
from typing import Final

import polars as pl

from tasks.core.broker.alpaca_events import alpaca_bytes
from tasks.core.broker.fix_reports import fix_bytes
from tasks.core.broker.flex_statement import flex_bytes
from tasks.core.facts import csv_files, number_cell, text_cell

_WRITERS: Final[Mapping[str, Callable[[pl.DataFrame, pl.DataFrame], bytes]]] = {
    "csv": lambda reports, _: _csv_bytes(reports),
    "fix": fix_bytes,
    "flex": lambda reports, _: flex_bytes(reports),
    "alpaca": lambda reports, _: alpaca_bytes(reports),
}
ENDINGS: Final[Mapping[str, str]] = {"csv": ".csv", "fix": ".fix", "flex": ".xml", "alpaca": ".jsonl"}
"""Formats, and how their files' names end."""


def file_of(reports: pl.DataFrame, orders: pl.DataFrame, file_format: str) -> bytes:
    """The file.

    Parameters
    ----------
    reports
        ``REPORTS``, by time; one at least.
    orders
        ``ORDERS`` that they are about.
    file_format
        One of ``ENDINGS``.
    """
    return _WRITERS[file_format](reports, orders)


def _csv_bytes(reports: pl.DataFrame) -> bytes:
    """Our own columns, a line a report."""
    numbers = {"quantity", "price_usd", "fees_usd"}
    moment = pl.col("executed_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("executed_at")
    cells = reports.with_columns(moment).select(
        number_cell(name) if name in numbers else text_cell(name) for name in reports.columns
    )
    files = csv_files(pl.repeat("", cells.height, dtype=pl.String, eager=True), cells)
    return str(files["content"].item()).encode()
