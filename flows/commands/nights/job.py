"""``trimtab job``: do what somebody asked for in the console, as that person, and say in the ledger what it came to."""

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final

import typer

from flows.commands.nights.check import MOST_CAUSES, check_sentences
from flows.commands.run import dry_run, resume_night, run_night
from flows.commands.say import say
from schemas.enums import RunKind
from schemas.errors import ExitCode, TrimtabError
from schemas.settings import Settings
from tasks.export import deliver_exported, export_approved
from tasks.operate import check_files
from tasks.runtime import current_settings, open_ledger, utc_now
from warehouse.ledger import JobKind, JobRow


@dataclass
class JobOutcome:
    """What a job came to, until it says otherwise: it broke off."""

    told: str = "it broke off; its log in the home's folder jobs says where"
    exit_code: int = ExitCode.FAILED
    run_id: str | None = None


def job(number: Annotated[int, typer.Argument(metavar="NUMBER", help="As the console shows it.")]) -> None:
    """Do what was asked for in the console, as who asked; the console starts this itself."""
    settings = current_settings()
    with closing(open_ledger(settings)) as ledger:
        row = ledger.jobs.begin_job(number, host=socket.gethostname(), process=os.getpid(), now=utc_now())
    outcome = JobOutcome()
    try:
        DOES[row.kind](settings, row, outcome)
    except TrimtabError as error:
        outcome.told, outcome.exit_code = str(error), error.exit_code
    finally:
        with closing(open_ledger(settings)) as ledger:
            ledger.jobs.finish_job(
                number, exit_code=outcome.exit_code, told=outcome.told, run_id=outcome.run_id, now=utc_now()
            )
    say(outcome.told, err=outcome.exit_code != ExitCode.DONE)
    raise typer.Exit(outcome.exit_code)


def _finish(outcome: JobOutcome, told: str, run_id: str | None = None) -> None:
    outcome.told, outcome.run_id, outcome.exit_code = told, run_id, ExitCode.DONE


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items() if count)


def _check(settings: Settings, row: JobRow, outcome: JobOutcome) -> None:
    found = check_files(settings, date.fromisoformat(row.wanted["as_of"]), row.wanted["source"])
    causes = [f"{one['text']}: {one['found']} ({one['accounts']:,} accounts)" for one in found.causes[:MOST_CAUSES]]
    missing = [f"{one['file']}: {one['note']}" for one in found.files if one["note"]]
    _finish(outcome, "\n".join([*check_sentences(found), *missing, *causes]))
    if found.held is not None:
        outcome.exit_code = ExitCode.HELD


def _night(settings: Settings, row: JobRow, outcome: JobOutcome) -> None:
    run = dry_run if row.kind is JobKind.DRY_RUN else run_night
    night = run(
        settings,
        date.fromisoformat(row.wanted["as_of"]),
        source=row.wanted["source"],
        kind=RunKind.NIGHTLY,
        scope=(),
        submitter=row.actor,
    )
    kept = "Nothing of it is kept: " if row.kind is JobKind.DRY_RUN else ""
    _finish(outcome, f"{kept}{_counts(night.counts)}", None if kept else night.run_id)


def _resume(settings: Settings, row: JobRow, outcome: JobOutcome) -> None:
    outcome.run_id = row.wanted["run_id"]
    night = resume_night(settings, row.wanted["run_id"], actor=row.actor, note=row.wanted["note"])
    _finish(outcome, _counts(night.counts), night.run_id)


def _export(settings: Settings, row: JobRow, outcome: JobOutcome) -> None:
    outcome.run_id = row.wanted["run_id"]
    done = export_approved(settings, row.wanted["run_id"], actor=row.actor)
    lines = [f"{one.account_count:,} accounts, {one.order_count:,} orders in {one.folder.name}" for one in done.results]
    lines += [f"{name} has approved proposals that may not leave yet: the run is not done." for name in done.waiting]
    held_back = done.held_back.iter_rows(named=True)
    lines += [f"{one['proposal_id']} of {one['account_id']} stays: {one['reason']}" for one in held_back]
    delivered = deliver_exported(settings, row.wanted["run_id"])
    lines += [f"{one.export_id} to {one.name}: {one.problem or 'delivered'}" for one in delivered]
    _finish(outcome, "\n".join([*lines, *done.notices, *done.problems]) or "Nothing to export.", row.wanted["run_id"])
    if done.problems or any(one.problem for one in delivered):
        outcome.exit_code = ExitCode.FAILED


def _deliver(settings: Settings, row: JobRow, outcome: JobOutcome) -> None:
    outcome.run_id = row.wanted["run_id"]
    delivered = deliver_exported(settings, row.wanted["run_id"])
    lines = [f"{one.export_id} to {one.name}: {one.problem or 'delivered'}" for one in delivered]
    _finish(outcome, "\n".join(lines) or "Nothing to deliver.", row.wanted["run_id"])
    if any(one.problem for one in delivered):
        outcome.exit_code = ExitCode.FAILED


DOES: Final[Mapping[JobKind, Callable[[Settings, JobRow, JobOutcome], None]]] = {
    JobKind.CHECK: _check,
    JobKind.DRY_RUN: _night,
    JobKind.NIGHT: _night,
    JobKind.RESUME: _resume,
    JobKind.EXPORT: _export,
    JobKind.DELIVER: _deliver,
}
