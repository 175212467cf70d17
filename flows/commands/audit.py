"""``trimtab audit``: read the audit chain and check that nobody changed it."""

from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from flows.commands.terminal import Json, lines, print_json, print_table
from tasks.runtime import open_ledger, settings_of_a_home
from warehouse.ledger import AuditRow

app = typer.Typer(no_args_is_help=True, help="The chain of all that was done.")

COLUMNS = ("seq", "at", "actor", "what", "of", "detail")


@app.command()
def verify(*, is_json: Json = False) -> None:
    """Recompute the chain; fails at the first row that was changed or is missing."""
    with closing(open_ledger(settings_of_a_home())) as ledger:
        count = ledger.audit.verify_audit()
    if is_json:
        print_json({"rows": count, "is_whole": True})
    else:
        typer.echo(f"The audit chain is whole: {count:,} rows.")


@app.command("list")
def list_(
    run: Annotated[str | None, typer.Option("--run", help="Rows of one run.")] = None,
    proposal: Annotated[str | None, typer.Option("--proposal", help="Rows of one proposal.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most rows, the newest.")] = 50,
    *,
    is_json: Json = False,
) -> None:
    """Show the newest rows, oldest first."""
    with closing(open_ledger(settings_of_a_home())) as ledger:
        rows = ledger.audit.audit_rows(limit=limit, proposal_id=proposal, run_id=run)
    if is_json:
        print_json([asdict(row) for row in rows])
    else:
        print_table(f"{len(rows):,} rows", COLUMNS, map(_table_row, rows), whole=("what", "of"))


def _table_row(row: AuditRow) -> tuple[object, ...]:
    """A row in the order of ``COLUMNS``: of a move the states, of a proposal its name, else the run's."""
    move = f"{row.from_state or ''} → {row.to_state}" if row.to_state else None
    return row.seq, row.at, row.actor, lines(row.event, move), row.proposal_id or row.run_id, row.detail
