"""``trimtab query``: read the public tables with SQL."""

import io
import sys
from typing import Annotated, Literal

import typer

from flows.commands.say import hand_over
from flows.commands.terminal import print_frame, print_json
from tasks.runtime import open_ledger, settings_of_a_home
from warehouse.lake import query as read_tables

QueryFormat = Literal["table", "csv", "json", "parquet"]


def query(
    text: Annotated[str, typer.Argument(metavar="SQL")],
    fmt: Annotated[QueryFormat, typer.Option("--format", help="How to print the rows.")] = "table",
) -> None:
    """Read the public tables with SQL: every run, or `latest.<table>` for the newest."""
    settings = settings_of_a_home()
    open_ledger(settings).close()  # brings one of an earlier version up to date, which the reader may not
    rows = read_tables(settings, text)
    if fmt == "csv":
        hand_over(rows.write_csv())
    elif fmt == "parquet":
        content = io.BytesIO()
        rows.write_parquet(content)
        sys.stdout.buffer.write(content.getvalue())
    elif fmt == "json":
        print_json(rows.to_dicts())
    else:
        print_frame(f"{rows.height:,} rows", rows)
