"""``trimtab nightly`` and ``resume``: run a night, carry a held one on."""

from datetime import date
from typing import Annotated

import typer

from flows.commands.export import export_rows, print_exports
from flows.commands.halt import lift
from flows.commands.run import dry_run, resume_night, run_night, run_scope
from flows.commands.say import say
from flows.commands.terminal import Json, print_json, print_table
from schemas.enums import RunKind
from schemas.errors import ExitCode, WrongUsage
from tasks.export import export_approved
from tasks.runtime import current_actor, current_settings

AsOf = Annotated[str, typer.Option("--as-of", metavar="DATE", help="The date that the facts describe, YYYY-MM-DD.")]
Source = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        help="A folder, s3://, sftp:// or postgresql:// address; may be repeated; the settings' where absent.",
    ),
]


def nightly(
    as_of: AsOf = "",
    source: Source = None,
    account: Annotated[list[str] | None, typer.Option("--account", help="Only this account; may be repeated.")] = None,
    *,
    scope_id: Annotated[
        str | None,
        typer.Option("--scope", metavar="ID", help="What `trimtab monitor` found, in place of date and accounts."),
    ] = None,
    is_dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Compute in a throw-away home, as if nothing had been exported before; nothing is kept."
        ),
    ] = False,
    is_export: Annotated[bool, typer.Option("--export", help="Export what policy approved.")] = False,
    is_strict: Annotated[
        bool, typer.Option("--strict", help="Exit 5 where accounts were quarantined or blocked.")
    ] = False,
    is_json: Json = False,
) -> None:
    """Run one night: pull, validate, measure, propose, route, publish."""
    if bool(as_of) == bool(scope_id) or (scope_id and (source or account or is_dry_run)):
        raise WrongUsage("needed either --as-of DATE, or --scope ID without --source, --account and --dry-run")
    settings = current_settings()
    scope = tuple(account or ())
    kind = RunKind.MANUAL if scope else RunKind.NIGHTLY
    run = dry_run if is_dry_run else run_night
    if scope_id:
        night = run_scope(settings, scope_id, submitter=current_actor())
    else:
        day = parsed_date(as_of)
        night = run(settings, day, source=source or (), kind=kind, scope=scope, submitter=current_actor())
    made = export_approved(settings, night.run_id).results if is_export and not is_dry_run else ()
    if is_json:
        print_json({"run_id": night.run_id, "counts": dict(night.counts), "exports": export_rows(made)})
    else:
        say(night.run_id)
        print_table(
            "accounts", ["outcome", "count"], [[name, f"{count:,}"] for name, count in night.counts.items() if count]
        )
        print_exports(made)
    if is_strict and night.counts["quarantined"] + night.counts["blocked"]:
        raise typer.Exit(ExitCode.STRICT)


def resume(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="A held run; lift the halt where absent.")] = None,
    *,
    note: Annotated[str, typer.Option("--note", help="Why it may go on; recorded.")],
) -> None:
    """Release a held run and carry it on from where it stopped; without a run, lift the halt."""
    if run is None:
        lift(note)
        return
    night = resume_night(current_settings(), run, actor=current_actor(), note=note)
    say(night.run_id)


def parsed_date(text: str) -> date:
    """A date in ISO 8601.

    Raises
    ------
    WrongUsage
        It is not one.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise WrongUsage(f"{text} is not a date; needed YYYY-MM-DD") from None
