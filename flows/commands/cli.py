"""The ``trimtab`` command. stdout carries the result, stderr the log and progress; a failure is a sentence and an exit code."""

import io
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from typing import Annotated, Literal

import typer

from flows.commands import audit as audit_cli
from flows.commands import explain as explain_cli
from flows.commands import export as export_cli
from flows.commands import halt as halt_cli
from flows.commands import maintain as maintain_cli
from flows.commands import monitor as monitor_cli
from flows.commands import quarantine as quarantine_cli
from flows.commands import reconcile as reconcile_cli
from flows.commands import replay as replay_cli
from flows.commands import review as review_cli
from flows.commands import status as status_cli
from flows.commands import users as users_cli
from flows.commands.export import export_rows, print_exports
from flows.commands.terminal import print_frame, print_json, print_table
from schemas.enums import RunKind
from schemas.errors import ExitCode, TrimtabError, WrongUsage
from schemas.settings import load_settings
from tasks.runtime import current_actor, open_ledger, private_files, settings_of_a_home
from warehouse.faults import disk_refusal

CALM = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}
"""Prefect settings that the command defaults to: no telemetry, and time for its own server to start on a busy machine."""

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Keep accounts on their model portfolios.")
app.add_typer(review_cli.app, name="review")
app.add_typer(users_cli.app, name="users")
app.add_typer(audit_cli.app, name="audit")
app.add_typer(export_cli.app, name="export")
app.add_typer(quarantine_cli.app, name="quarantine")
app.command("explain")(explain_cli.explain)
app.command("status")(status_cli.status)
app.command("halt")(halt_cli.halt)
app.command("replay")(replay_cli.replay)
app.command("maintain")(maintain_cli.maintain)
app.command("backup")(maintain_cli.backup)
app.command("restore")(maintain_cli.restore)
app.command("monitor")(monitor_cli.monitor)
app.command("reconcile")(reconcile_cli.reconcile)
app.command("allot")(reconcile_cli.allot)
app.command("allocations")(reconcile_cli.allocations)

AsOf = Annotated[str, typer.Option("--as-of", metavar="DATE", help="The date that the facts describe, YYYY-MM-DD.")]
Source = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        help="A folder, s3://, sftp:// or postgresql:// address; may be repeated; the settings' where absent.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
QueryFormat = Literal["table", "csv", "json", "parquet"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with one of ``ExitCode``."""
    private_files()
    for name, value in CALM.items():
        os.environ.setdefault(name, value)
    try:
        _run(arguments)
    except TrimtabError as error:
        typer.echo(f"trimtab: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever read us has seen enough; the rest is for nobody
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.DONE)
    except OSError as error:
        told = disk_refusal(str(error.filename or "a file"), error)
        if told is None:
            raise
        typer.echo(f"trimtab: {told}", err=True)
        sys.exit(told.exit_code)


def _run(arguments: Sequence[str] | None) -> None:
    """Run the command; what it printed is out before it ends, so that a reader who has left is noticed here."""
    try:
        app(args=arguments)
    finally:
        sys.stdout.flush()


@app.command()
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
    settings = load_settings()
    from flows.commands.run import dry_run, run_night, run_scope  # noqa: PLC0415 - Prefect, seconds that other commands do without
    from tasks.export import export_approved  # noqa: PLC0415

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
        typer.echo(night.run_id)
        print_table(
            "accounts", ["outcome", "count"], [[name, f"{count:,}"] for name, count in night.counts.items() if count]
        )
        print_exports(made)
    if is_strict and night.counts["quarantined"] + night.counts["blocked"]:
        raise typer.Exit(ExitCode.STRICT)


@app.command()
def console(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; 0.0.0.0 behind a proxy with TLS.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen at.")] = 8080,
) -> None:
    """Serve the review console and the REST API until stopped. Users sign in with `trimtab users set-password`."""
    from console.serve import serve  # noqa: PLC0415 - see nightly

    serve(load_settings(), host, port)


@app.command()
def query(
    text: Annotated[str, typer.Argument(metavar="SQL")],
    fmt: Annotated[QueryFormat, typer.Option("--format", help="How to print the rows.")] = "table",
) -> None:
    """Read the public tables with SQL: every run, or `latest.<table>` for the newest."""
    from warehouse.lake import query as read  # noqa: PLC0415 - DuckDB, only where needed

    settings = settings_of_a_home()
    open_ledger(settings).close()  # brings one of an earlier version up to date, which the reader may not
    rows = read(settings, text)
    if fmt == "csv":
        sys.stdout.write(rows.write_csv())
    elif fmt == "parquet":
        content = io.BytesIO()
        rows.write_parquet(content)
        sys.stdout.buffer.write(content.getvalue())
    elif fmt == "json":
        print_json(rows.to_dicts())
    else:
        print_frame(f"{rows.height:,} rows", rows)


@app.command()
def runs(*, is_json: Json = False, limit: Annotated[int, typer.Option("--limit", min=1)] = 20) -> None:
    """List runs, the newest first."""
    with closing(open_ledger(settings_of_a_home())) as ledger:
        rows = ledger.list_runs(limit)
    if is_json:
        print_json(
            [
                {
                    "run_id": row.run_id,
                    "state": row.state,
                    "accounts": row.accounts_pulled,
                    "counts": row.counts,
                    "held_reason": row.held_reason,
                }
                for row in rows
            ]
        )
        return
    table = [
        [
            row.run_id,
            row.state,
            f"{row.accounts_pulled:,}",
            row.submitter,
            f"{row.started_at:%Y-%m-%d %H:%M}",
            row.held_reason or "",
        ]
        for row in rows
    ]
    print_table("runs", ["run", "state", "accounts", "submitter", "started (UTC)", "held because"], table)


@app.command()
def resume(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="A held run; lift the halt where absent.")] = None,
    *,
    note: Annotated[str, typer.Option("--note", help="Why it may go on; recorded.")],
) -> None:
    """Release a held run and carry it on from where it stopped; without a run, lift the halt."""
    if run is None:
        halt_cli.lift(note)
        return
    from flows.commands.run import resume_night  # noqa: PLC0415 - see nightly

    night = resume_night(load_settings(), run, actor=current_actor(), note=note)
    typer.echo(night.run_id)


@app.command()
def demo(
    accounts: Annotated[int, typer.Option("--accounts", min=1, help="How many accounts the sample book has.")] = 5_000,
    fmt: Annotated[
        Literal["parquet", "csv"], typer.Option("--format", help="Files of the landing folder.")
    ] = "parquet",
    seed: Annotated[int, typer.Option("--seed", min=0)] = 20221228,
) -> None:
    """Make a sample book on real market prices, run a night on it, export what policy approves, say where to look."""
    from flows.commands.demo import run_demo  # noqa: PLC0415 - see nightly

    run_demo(load_settings(), account_count=accounts, file_format=fmt, seed=seed)


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


if __name__ == "__main__":
    main()
