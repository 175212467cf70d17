"""``trimtab quarantine``: look at the rows that a run set aside, let some pass, hand the rest to those who mend the source."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import polars as pl
import typer

from flows.commands.terminal import Json, lines, notice, print_json, print_table
from tasks.review import FileFormat, QuarantinedRow, QuarantineFilter, Reader, format_of, quarantine, write_rows
from tasks.runtime import current_actor, open_ledger, settings_of_a_home
from warehouse.lake import open_lake
from warehouse.ledger import Releases, RunRow

app = typer.Typer(no_args_is_help=True, help="Look at source rows that a run set aside, let some of them pass.")

Run = Annotated[str | None, typer.Option("--run", help="A run; the newest where absent.")]

LISTED: Final = ("row", "where", "account", "broken rules")
LET_THROUGH: Final = ("released by", "at", "because")
SET_ASIDE: Final = ("releasable", "released by")


@dataclass(frozen=True, slots=True)
class QuarantineStores:
    """Rows that people let pass, the lake's reader and the run that is looked at."""

    readmissions: Releases
    read: Reader
    run: RunRow


@contextmanager
def _stores(run: str | None) -> Iterator[QuarantineStores]:
    settings = settings_of_a_home()
    with closing(open_ledger(settings)) as ledger:
        yield QuarantineStores(ledger.readmissions, open_lake(settings).read, quarantine.find_run(ledger.runs, run))


@app.command("list")
def list_(
    run: Run = None,
    table: Annotated[str | None, typer.Option("--table", help="Rows of one landing table.")] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="Rows that broke this rule, maybe among others.")] = None,
    account: Annotated[str | None, typer.Option("--account", help="Rows of one account.")] = None,
    *,
    is_released: Annotated[
        bool, typer.Option("--released", help="Rows that the run used though they broke rules: a person let them pass.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most rows to print as a table.")] = 50,
    is_json: Json = False,
) -> None:
    """Show the rows that a run set aside, or with --released those that it used all the same."""
    with _stores(run) as at:
        rows = (
            quarantine.readmitted_rows(at.read, at.run)
            if is_released
            else quarantine.quarantined_rows(at.readmissions, at.read, at.run)
        )
        found = rows.filter(QuarantineFilter(table, rule, account).holds())
    if is_json:
        print_json(found.to_dicts())
        return
    title = f"{found.height:,} {'rows let through' if is_released else 'rows set aside'} by {at.run.run_id}"
    shown = (_table_row(one, is_released=is_released) for one in found.head(limit).iter_rows(named=True))
    columns = (*LISTED, *(LET_THROUGH if is_released else SET_ASIDE))
    print_table(title, columns, shown, whole=("row", "account", "broken rules"))
    if found.is_empty() and rows.height:
        rules = rows["broken_rules"].str.split("|").explode().unique().sort()
        notice(f"{rows.height:,} others do not match; rules broken are {', '.join(rules)}.")
    if found.height > limit:
        notice(f"{found.height - limit:,} more are not shown; --limit shows more, `trimtab quarantine export` all.")


def _table_row(one: Mapping[str, Any], *, is_released: bool) -> tuple[object, ...]:
    """A row in the order of ``LISTED`` and ``LET_THROUGH`` or ``SET_ASIDE``."""
    where = f"{one['file_name']} row {one['row_number']}"
    common = (one["quarantine_id"], where, one["account_id"], lines(*one["broken_rules"].split("|")))
    if is_released:
        return (*common, one["released_by"], one["released_at"], one["release_note"])
    return (*common, "yes" if one["is_releasable"] else "no", one["released_by"])


@app.command()
def show(
    row: Annotated[str, typer.Argument(metavar="ID", help="A row, or the first 6 characters or more.")],
    run: Run = None,
    *,
    is_json: Json = False,
) -> None:
    """Show one row as it was read: its cells, the rules it broke, what it cost, and what can be done."""
    with _stores(run) as at:
        detail = quarantine.show(at.readmissions, at.read, at.run, row)
    if is_json:
        print_json(asdict(detail))
    else:
        print_detail(detail)


def print_detail(detail: QuarantinedRow) -> None:
    """The row's cells and its rules as tables, the rest as sentences."""
    typer.echo(f"{detail.quarantine_id} of {detail.table_name}, in {detail.run_id}")
    for place in detail.places:
        typer.echo(f"  {place}")
    print_table("Cells as they were read", ("column", "value"), detail.cells.items())
    rules = [(one.rule, one.sentence, "yes" if one.is_releasable else "no") for one in detail.rules]
    print_table("Broken rules", ("rule", "found and needed", "can be released"), rules)
    typer.echo(f"{detail.cost}\n{detail.outlook}")


@app.command()
def release(
    rows: Annotated[list[str], typer.Argument(metavar="ID...", help="Rows, or the first 6 characters or more.")],
    note: Annotated[str, typer.Option("--note", help="Why the rows may be used; recorded.")],
    run: Run = None,
    *,
    is_json: Json = False,
) -> None:
    """Let rows pass that only differ from the night before; all of them or none. Counts from the next run of the night."""
    with _stores(run) as at:
        new = quarantine.readmit_rows(
            at.readmissions, at.read, at.run, rows, actor=current_actor(), note=note, now=datetime.now(UTC)
        )
    again = quarantine.again_with(at.run)
    if is_json:
        print_json({"released": new, "next": again})
        return
    for one in new:
        typer.echo(one)
    if new:
        notice(f"{len(new):,} released for {at.run.as_of_date}. Run the night again: `{again}`.")
    else:
        notice("all of them were released before; nothing was changed")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; its ending says the format.")],
    run: Run = None,
    fmt: Annotated[FileFormat | None, typer.Option("--format", help="Instead of what the ending says.")] = None,
) -> None:
    """Write every row that a run set aside to a file, for the people who mend the source."""
    file_format = fmt or format_of(file)
    with _stores(run) as at:
        rows = quarantine.quarantined_rows(at.readmissions, at.read, at.run)
    named = {"run_id": pl.lit(at.run.run_id), "as_of_date": pl.lit(at.run.as_of_date)}
    write_rows(rows.select([expr.alias(name) for name, expr in named.items()] + [pl.all()]), file, file_format)
    typer.echo(f"{file}  {rows.height:,} rows of {at.run.run_id}")
