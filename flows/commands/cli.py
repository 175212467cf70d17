"""The ``trimtab`` command. stdout carries the result, stderr the log and progress; a failure is a sentence and an exit code."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Annotated, Any, ClassVar

import typer

from flows.commands.lazy_group import LazyCommand, LazyGroup
from flows.commands.say import say
from schemas.errors import ExitCode, TrimtabError
from tasks.runtime import private_files
from warehouse import faults

CALM = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}
"""Prefect settings that the command defaults to: no telemetry, and time for its own server to start on a busy machine."""


class CommandGroup(LazyGroup):
    """Every command, in the order of the help; what is said of it stands in its own help too."""

    lazy_commands: ClassVar[Mapping[str, LazyCommand]] = {
        "explain": LazyCommand(
            "flows.commands.explain:explain",
            "Say what a run made of an account and why: drift, orders, what stopped the rest, tax, cash, who decided.",
        ),
        "account": LazyCommand(
            "flows.commands.accounts.account:account",
            "Show an account as a whole: holdings and lots, drift and outcomes over nights, proposals, orders and fills, restrictions, cash, household.",
        ),
        "book": LazyCommand(
            "flows.commands.accounts.book:book",
            "Show drift, turnover, tax, cost and outcomes of the whole book over nights, and what waits for whom and until when.",
        ),
        "performance": LazyCommand(
            "flows.commands.performance.report:performance",
            "Show what an account has earned, what its model would have, and why they differ; or a household, or a model's accounts together.",
        ),
        "status": LazyCommand(
            "flows.commands.status:status",
            "Show the newest run: its state, what it took, its steps and how many proposals stand where; open orders; and a halt.",
        ),
        "halt": LazyCommand(
            "flows.commands.halt:halt",
            "Stop everything that leaves: exports, also one under way, and the release of held runs. Until `trimtab resume`.",
        ),
        "replay": LazyCommand(
            "flows.commands.replay:replay",
            "Compute a run again from its stored inputs and compare every table and file. Exit 1 where anything differs, 4 where inputs are gone.",
        ),
        "maintain": LazyCommand(
            "flows.commands.maintain:maintain",
            "Back up where the settings say, merge small files, remove what is beyond the retention and what nobody needs.",
        ),
        "backup": LazyCommand(
            "flows.commands.maintain:backup",
            "Copy ledger, lake and exports to a new folder in FOLDER, beside a night or not.",
        ),
        "restore": LazyCommand(
            "flows.commands.maintain:restore", "Make an empty home what a backup says, and check it."
        ),
        "monitor": LazyCommand(
            "flows.commands.monitor:monitor",
            "Look at drift on fresh prices, at any time of day; start a run where accounts are newly out of band.",
        ),
        "reconcile": LazyCommand(
            "flows.commands.reconcile:reconcile",
            "Take in what brokers and custodians say of orders; show breaks. Exit 3 where something is alarming.",
        ),
        "allot": LazyCommand(
            "flows.commands.reconcile:allot", "Fix what orders of a block get of its fills, against the pro-rata rule."
        ),
        "allocations": LazyCommand(
            "flows.commands.reconcile:allocations",
            "Show what each order of a filled block got, at the block's average price.",
        ),
        "orders": LazyCommand(
            "flows.commands.orders:app", "Orders that left and that accounts wait for; say what became of them."
        ),
        "nightly": LazyCommand(
            "flows.commands.nightly:nightly", "Run one night: pull, validate, measure, propose, route, publish."
        ),
        "console": LazyCommand(
            "flows.commands.console:console",
            "Serve the review console and the REST API until stopped. Users sign in with `trimtab users set-password`.",
        ),
        "query": LazyCommand(
            "flows.commands.query:query",
            "Read the public tables with SQL: every run, or `latest.<table>` for the newest.",
        ),
        "check": LazyCommand(
            "flows.commands.nights.check:check",
            "Read, parse and gate a night's files alone: what would be refused, set aside, missing or held. Nothing is kept.",
        ),
        "job": LazyCommand(
            "flows.commands.nights.job:job",
            "Do what was asked for in the console, as who asked; the console starts this itself.",
        ),
        "runs": LazyCommand("flows.commands.status:runs", "List runs, the newest first."),
        "resume": LazyCommand(
            "flows.commands.nightly:resume",
            "Release a held run and carry it on from where it stopped; without a run, lift the halt.",
        ),
        "demo": LazyCommand(
            "flows.commands.demo:demo",
            "Make a sample book on real market prices, run a night on it, export what policy approves, fill and reconcile that, run the next night.",
        ),
        "lab": LazyCommand(
            "flows.commands.lab.studies:app",
            "Try policies on courses of the market: what each costs and gives. Hypothetical; nothing of it is ever traded.",
        ),
        "frontier": LazyCommand(
            "flows.commands.lab.frontier:frontier",
            "Show the efficient frontier of asset classes, how far the firm's models are from it, and ten models on it. Nothing is traded by it.",
        ),
        "forecast": LazyCommand(
            "flows.commands.nights.forecast:forecast",
            "Say how many accounts will leave their bands by the next session, which are likeliest, and how good such forecasts were. Decides nothing.",
        ),
        "simulate": LazyCommand(
            "flows.commands.simulate.fills:app",
            "A broker that is simulated, for trying things out; its fills are taken of the orders of simulations alone.",
        ),
        "review": LazyCommand("flows.commands.review:app", "Look at proposed trades, approve or reject them."),
        "changes": LazyCommand(
            "flows.commands.profiles.changes:app",
            "Look at models that profiles ask for, approve or reject them. An approved one is the model from the next night on.",
        ),
        "goal": LazyCommand(
            "flows.commands.profiles.goal:goal",
            "Say how likely the goal behind an account is, on its rung and on the best, and which rung is best by wealth and time.",
        ),
        "users": LazyCommand("flows.commands.users:app", "Users of the ledger and their roles."),
        "audit": LazyCommand("flows.commands.audit:app", "The chain of all that was done."),
        "export": LazyCommand(
            "flows.commands.export:app",
            "Export what is approved: one file per account, blocks, allocations and a manifest. Safe to repeat.",
        ),
        "quarantine": LazyCommand(
            "flows.commands.quarantine:app", "Look at source rows that a run set aside, let some of them pass."
        ),
    }


app = typer.Typer(cls=CommandGroup, no_args_is_help=True, pretty_exceptions_enable=False)


def _say_version(*, is_asked: bool) -> None:
    if is_asked:
        say(f"trimtab {version('trimtab')}")
        raise typer.Exit


@app.callback()
def trimtab(
    *,
    is_version: Annotated[
        bool,
        typer.Option("--version", help="Say which version this is, and end.", is_eager=True, callback=_say_version),
    ] = False,
) -> None:
    """Keep accounts on their model portfolios."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with one of ``ExitCode``."""
    private_files()
    for name, value in CALM.items():
        os.environ.setdefault(name, value)
    try:
        _run(arguments)
    except TrimtabError as error:
        say(f"trimtab: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.DONE)
    except OSError as error:
        refusal = faults.disk_refusal(str(error.filename or "a file"), error)
        if refusal is None:
            raise
        say(f"trimtab: {refusal}", err=True)
        sys.exit(refusal.exit_code)


def _run(arguments: Sequence[str] | None) -> None:
    """Run the command; what it printed is out before it ends, so that a reader who has left is noticed here."""
    try:
        app(args=arguments)
    finally:
        sys.stdout.flush()


def whole_command() -> Any:
    """The command with all its modules imported, for documents and tests that read every option."""
    command: Any = typer.main.get_command(app)
    command.load(*command.lazy_commands)
    return command


if __name__ == "__main__":
    main()
