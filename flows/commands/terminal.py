"""What commands print: the result on stdout as a table or JSON, notices on stderr."""

import json
import os
import sys
from collections.abc import Container, Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any

import polars as pl
import typer
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from flows.commands.say import say
from tasks.runtime import plain_text

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
"""Option of a command that prints its result so."""
RunOfAccount = Annotated[str | None, typer.Option("--run", help="A run; the newest that has the account where absent.")]
"""Option of a command that shows an account."""
WIDTH_OF_A_FILE = 200
"""Columns of a table that goes to a file or another program."""
LEAST = 12
"""Characters that a column of a table keeps, if it has as many, however narrow the terminal is."""
JOINED = frozenset({"triggers", "reasons", "route_reasons", "look_reasons", "broken_rules"})
"""What tables join by a bar and JSON has as lists."""
FRAME = 3
"""Characters around a cell: a line and two blanks. A last line ends the row."""


class TextConsole(Console):
    """Draws what it is given as text: no name and no note moves the cursor or colours anything."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As Rich's own."""
        for segment in super().render(renderable, options):
            style = None if self.no_color else segment.style
            yield segment if segment.control else Segment(plain_text(segment.text), style)


def text_console(width_of_a_file: int) -> TextConsole:
    """stdout: as wide as the terminal or as ``COLUMNS`` says, else as a file may be. With ``NO_COLOR`` nothing is bold either."""
    is_known = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal()
    return TextConsole(file=sys.stdout, width=None if is_known else width_of_a_file, highlight=False)


def print_table(
    title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]], *, whole: Container[str] = ()
) -> None:
    """A table on stdout; numbers to the right, null as an empty cell. Lines of ``whole`` columns are not broken.

    Nothing is left out: what a terminal has no room for makes lines that are longer than it.
    """
    names = list(columns)
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=name in whole)
    widths = [_width(name) for name in names]
    for row in rows:
        cells = [_cell(value) for value in row]
        table.add_row(*cells)
        widths = [max(width, _width(cell.plain)) for width, cell in zip(widths, cells, strict=True)]
    least = [width if name in whole else min(width, LEAST) for name, width in zip(names, widths, strict=True)]
    console = text_console(WIDTH_OF_A_FILE)
    console.width = max(console.width, sum(least) + FRAME * len(names) + 1)
    console.print(table)


def _width(text: str) -> int:
    return max(map(cell_len, text.split("\n")))


def lines(*parts: str | None) -> str:
    """What is said, one below the other."""
    return "\n".join(part for part in parts if part)


def print_frame(title: str, frame: pl.DataFrame) -> None:
    """A frame as a table on stdout."""
    print_table(title, frame.columns, frame.iter_rows())


def print_json(value: Any) -> None:
    """JSON on stdout, of the shapes that the REST API has: amounts as text, so that no digit is lost, times in ISO 8601, several as a list."""
    say(json.dumps(_with_lists(value), default=_plain, indent=2))


def _with_lists(value: Any) -> Any:
    """Words that tables join by a bar, as lists; the ``reason`` of an outcome becomes ``reasons``."""
    if isinstance(value, list | tuple):
        return [_with_lists(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    found = {name: _with_lists(one) for name, one in value.items()}
    if "outcome" in found and isinstance(found.get("reason"), str):
        found["reasons"] = found.pop("reason")
    return {name: split_words(one) if name in JOINED and isinstance(one, str) else one for name, one in found.items()}


def split_words(joined: str) -> list[str]:
    """What a table joins by a bar."""
    return joined.split("|") if joined else []


def notice(message: str) -> None:
    """One line on stderr."""
    say(message, err=True)


def _cell(value: Any) -> Text:
    if isinstance(value, Text):
        return value
    if value is None:
        return Text("")
    if isinstance(value, datetime):
        return Text(f"{value:%Y-%m-%d %H:%M}Z")
    is_number = not isinstance(value, str | bool) and hasattr(value, "__float__")
    text = _number(value) if is_number else plain_text(str(value))
    return Text(text, justify="right" if is_number else "left")


def _number(value: Any) -> str:
    """Thousands apart; at most six digits after the point, no zeros at the end."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
