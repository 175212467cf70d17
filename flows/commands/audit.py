"""``trimtab audit``: read the audit chain and check that nobody changed it."""

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.say import say
from flows.commands.terminal import Json, lines, print_json, print_table
from schemas.errors import AuditBroken, WrongUsage
from tasks.export import content_faults
from tasks.runtime import anchor_faults, open_ledger, settings_of_a_home
from warehouse.lake import open_lake
from warehouse.ledger import AuditRow

app = typer.Typer(no_args_is_help=True, help="The chain of all that was done.")

COLUMNS = ("seq", "at", "actor", "what", "of", "detail")


@app.command()
def verify(
    anchor: Annotated[
        Path | None,
        typer.Option(
            "--anchor",
            help="A folder or a file of anchors, such as a copy kept elsewhere; else those of the settings.",
        ),
    ] = None,
    *,
    is_json: Json = False,
) -> None:
    """Recompute the chain, and compare with it every state, every order that may leave or has left, and the chain's anchors.

    Fails where a row was changed or is missing, a state has no row, an order is not what was approved, or an anchor does not fit; names
    each.
    """
    settings = settings_of_a_home()
    with closing(open_ledger(settings)) as ledger:
        faults, count = [], 0
        try:
            count = ledger.audit.verify_audit()
        except AuditBroken as error:
            faults.append(str(error))
        faults += content_faults(open_lake(settings), ledger.proposals, ledger.amendments)
        anchors, unfit = anchor_faults(settings, ledger.audit, anchor or settings.anchor_folder)
    if anchor and not (anchors or unfit):
        raise WrongUsage(f"{anchor} has no anchor; needed a folder or a file of them")
    if faults := [*faults, *unfit]:
        raise AuditBroken(None, "\n".join(faults))
    if is_json:
        print_json({"rows": count, "is_whole": True, "anchors": anchors})
    else:
        fit = f"{anchors:,} anchors fit" if anchors else "there is no anchor to compare with"
        say(f"The audit chain is whole: {count:,} rows; {fit}.")


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
