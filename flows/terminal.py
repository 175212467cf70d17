"""What commands print: the result on stdout as a table or JSON, notices on stderr."""

import json
import sys
from collections.abc import Container, Iterable, Mapping
from datetime import datetime
from typing import Any

import polars as pl
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH_OF_A_FILE = 200
"""Columns of a table that goes to a file or another program."""


def print_table(
    title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]], *, whole: Container[str] = ()
) -> None:
    """A table on stdout; numbers to the right, null as an empty cell. Lines of ``whole`` columns are not broken."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in whole)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE).print(table)


def lines(*parts: str | None) -> str:
    """What is said, one below the other."""
    return "\n".join(part for part in parts if part)


def print_frame(title: str, frame: pl.DataFrame) -> None:
    """A frame as a table on stdout."""
    print_table(title, frame.columns, frame.iter_rows())


def print_json(value: Any) -> None:
    """JSON on stdout; amounts as text, so that no digit is lost, and times in ISO 8601."""
    typer.echo(json.dumps(value, default=_plain, indent=2))


def notice(message: str) -> None:
    """One line on stderr."""
    typer.echo(message, err=True)


def _cell(value: Any) -> Text:
    if isinstance(value, Text):
        return value
    if value is None:
        return Text("")
    if isinstance(value, datetime):
        return Text(f"{value:%Y-%m-%d %H:%M}Z")
    is_number = not isinstance(value, str | bool) and hasattr(value, "__float__")
    return Text(_number(value) if is_number else str(value), justify="right" if is_number else "left")


def _number(value: Any) -> str:
    """Thousands apart; at most six digits after the point, no zeros at the end."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
