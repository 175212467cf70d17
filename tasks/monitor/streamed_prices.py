"""Prices that a stream gave, as the table ``prices`` of a day: what a run over a breach takes, so that it sees what the look saw."""

import os
import shutil
from contextlib import suppress
from datetime import date
from io import BytesIO

import polars as pl

from schemas.settings import Settings
from tasks.runtime import flush, make_folders, temporary_name, write_file


def write_streamed(settings: Settings, day: date, prices: pl.DataFrame) -> None:
    """Put the prices in the place of those of the day; older days' are removed."""
    folder = settings.streamed_folder / day.isoformat()
    make_folders(folder)
    content = BytesIO()
    prices.write_parquet(content)
    final = folder / "prices.parquet"
    beside = temporary_name(final)
    write_file(beside, content.getvalue())
    flush(beside)
    os.replace(beside, final)  # noqa: PTH105 - the same, and beside stands what may be left of it
    flush(folder)
    for other in settings.streamed_folder.iterdir():
        if other.name < folder.name:
            shutil.rmtree(other, ignore_errors=True)


def drop_streamed(settings: Settings, day: date) -> None:
    """Remove those of the day: prices of files are newer."""
    with suppress(FileNotFoundError):
        (settings.streamed_folder / day.isoformat() / "prices.parquet").unlink()
