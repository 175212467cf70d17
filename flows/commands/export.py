"""``trimtab export``: let what is approved leave, give up what cannot any more, and check what has left."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.say import say
from flows.commands.terminal import Json, notice, print_json
from schemas.errors import ExitCode
from tasks.export import DeliveryResult, ExportResult, deliver_exported, export_approved, give_up, read_public_key
from tasks.export import verify as verify_folder
from tasks.runtime import settings_of_a_home

app = typer.Typer(
    help="Export what is approved: one file per account, blocks, allocations and a manifest. Safe to repeat."
)


@app.callback(invoke_without_command=True)
def export(
    context: typer.Context,
    run: Annotated[
        str | None, typer.Option("--run", help="Only this run; every run with approved proposals where absent.")
    ] = None,
    custodian: Annotated[
        list[str] | None,
        typer.Option(
            "--custodian", help="Only orders of this custodian, and of its households elsewhere; may be repeated."
        ),
    ] = None,
    *,
    is_json: Json = False,
) -> None:
    """Export what is approved, and deliver it where the settings say. Safe to repeat."""
    if context.invoked_subcommand is not None:
        return
    settings = settings_of_a_home()
    done = export_approved(settings, run, custodian or ())
    for run_id in done.waiting:
        notice(f"{run_id} has approved proposals that may not leave yet: the run is not done.")
    for row in done.held_back.iter_rows(named=True):
        notice(f"{row['proposal_id']} of {row['account_id']} stays: {row['reason']}")
    for sentence in (*done.notices, *done.problems):
        notice(sentence)
    if not is_json:
        print_exports(done.results)  # before anything else can go wrong: they have left
        sys.stdout.flush()
    delivered = deliver_exported(settings, run)
    if is_json:
        print_json(export_rows(done.results, delivered))
    else:
        _print_deliveries(delivered)
    if not done.results and not delivered:
        notice("nothing to export")
    if done.problems or any(one.problem for one in delivered):
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def abandon(
    export_id: Annotated[str, typer.Argument(metavar="EXPORT", help="An export that was claimed and has not left.")],
    note: Annotated[str, typer.Option("--note", help="Why; kept for good.")],
    *,
    is_json: Json = False,
) -> None:
    """Give an export up before it leaves: none of its orders ever does, and its proposals are withdrawn. Safe to repeat."""
    done = give_up(settings_of_a_home(), export_id, note)
    if is_json:
        told = {"export_id": done.export_id, "folder": str(done.folder), "proposals": done.proposal_count}
        bound = {"given_up_with_it": done.with_it, "households_left_in_part": done.left_in_part}
        print_json({**told, "is_done_here": done.is_done_here, **bound})
        return
    if not done.is_done_here:
        notice(f"{done.export_id} was given up before; that stands.")
        return
    say(f"{done.export_id} is given up: no order of it leaves, and {done.proposal_count:,} proposals are withdrawn.")
    for name in done.with_it:
        notice(f"{name} is given up with it: it holds members of the same households.")
    for name in done.left_in_part:
        notice(
            f"The household {name} has left in part before, in another export: look at what its other accounts are doing."
        )
    notice("Their accounts get new proposals with the next run.")


@app.command()
def verify(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Exported folders, or folders of their profiles.")
    ],
    key: Annotated[
        Path | None,
        typer.Option("--key", help="Public key (PEM) that must have signed them; not asked for where absent."),
    ] = None,
    *,
    is_json: Json = False,
) -> None:
    """Check folders against their manifests; needs nothing else but the public key. Fails at the first thing that is wrong."""
    public = None if key is None else read_public_key(key)
    found = [verify_folder(folder, public) for folder in folders]
    if is_json:
        print_json(
            [
                {
                    "export_id": one.export_id,
                    "files": one.file_count,
                    "orders": one.order_count,
                    "is_signed": one.is_signed,
                }
                for one in found
            ]
        )
        return
    for one in found:
        signed = ", and signed by the key" if one.is_signed else " (the signature was not checked: no --key)"
        say(f"{one.export_id} is whole: {one.file_count:,} files, {one.order_count:,} orders{signed}")


def export_rows(results: Sequence[ExportResult], delivered: Sequence[DeliveryResult] = ()) -> list[dict[str, object]]:
    """Exports, each with where it was delivered now."""
    return [
        {
            "run_id": result.run_id,
            "folder": str(result.folder),
            "accounts": result.account_count,
            "orders": result.order_count,
            "manifest_sha256": result.manifest_sha256,
            "warnings": result.warning_count,
            "deliveries": [
                {"name": one.name, "is_delivered": one.problem is None, "problem": one.problem}
                for one in delivered
                if one.export_id == result.export_id
            ],
        }
        for result in results
    ]


def print_exports(results: Sequence[ExportResult]) -> None:
    """A line an export."""
    for result in results:
        say(f"{result.folder}  {result.account_count:,} accounts, {result.order_count:,} orders")
        if result.warning_count:
            notice(
                f"{result.warning_count:,} warnings in its manifest.json: securities bought and sold at one custodian, losses bought back"
            )


def _print_deliveries(delivered: Sequence[DeliveryResult]) -> None:
    for one in delivered:
        if one.problem is None:
            say(f"{one.export_id} delivered to {one.name}: {one.file_count:,} files")
        else:
            notice(f"{one.export_id} is not delivered to {one.name}: {one.problem}")
