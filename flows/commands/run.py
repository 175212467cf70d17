"""Start a night or an export from the command line, with or without a Prefect server."""

import json
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.enums import RunKind
from schemas.errors import Terminal, WrongUsage
from schemas.settings import Settings
from tasks.operate import scratch_settings
from tasks.runtime import open_ledger, prefect_server, use_settings, utc_now

if TYPE_CHECKING:
    from flows.nightly import NightResult


def run_night(
    settings: Settings,
    as_of: date,
    *,
    source: Sequence[str] = (),
    kind: RunKind,
    scope: tuple[str, ...],
    submitter: str,
    run_id: str | None = None,
) -> "NightResult":
    """One night, by the flow that a deployment runs too. A run that breaks off is noted as failed in the ledger.

    Raises
    ------
    TrimtabError
        As the flow's tasks do.
    """
    given = {"as_of": as_of, "source": _absolute(source), "kind": kind, "accounts": scope}
    return _nightly(settings, **given, submitter=submitter, run_id=run_id)


def run_scope(settings: Settings, scope_id: str, *, submitter: str) -> "NightResult":
    """The run over what a look found.

    Raises
    ------
    Terminal
        A run has looked at it already.
    TrimtabError
        As the flow's tasks do.
    """
    return _nightly(settings, scope=scope_id, submitter=submitter)


def dry_run(
    settings: Settings,
    as_of: date,
    *,
    source: Sequence[str] = (),
    kind: RunKind,
    scope: tuple[str, ...],
    submitter: str,
) -> "NightResult":
    """The night in a home that is thrown away: nothing is kept or queued, and earlier exports are not known.

    So an account that is cooling down, or whose model changed since its last export, is looked at as if it had none.
    """
    given = _absolute(source or ([] if settings.sources else [settings.sources_of(as_of)[0].url]))
    with tempfile.TemporaryDirectory(prefix="trimtab-dry-run-") as home:
        elsewhere = scratch_settings(settings, home)
        return run_night(elsewhere, as_of, source=given, kind=kind, scope=scope, submitter=submitter)


def resume_night(settings: Settings, run_id: str, *, actor: str, note: str) -> "NightResult":
    """Release a held run and carry it on, on what it pulled: files that came since belong to another run.

    Raises
    ------
    WrongUsage
        There is no such run, it is not held, or the night has been run again since.
    """
    with closing(open_ledger(settings)) as ledger:
        row = ledger.runs.get_run(run_id)
        if row is None:
            raise WrongUsage(f"there is no run {run_id}\n\nHint: `trimtab runs` lists them.")
        newer = ledger.runs.newer_run_of(row)
        if newer is not None:
            raise WrongUsage(
                f"run {run_id} is replaced by {newer.run_id}, on newer inputs; needed one that nothing has replaced\n\n"
                "Hint: work with that run; `trimtab nightly` looks whether the inputs have changed once more."
            )
        ledger.runs.release_run(run_id, actor=actor, note=note, now=utc_now())
    return run_night(
        settings,
        row.as_of_date,
        kind=row.kind,
        scope=scope_of(row.scope),
        submitter=row.submitter,
        run_id=run_id,
    )


def _nightly(settings: Settings, **given: Any) -> "NightResult":
    """The flow. All that it loads, most of the time of a small night, is loaded while Prefect's server starts."""
    with prefect_server(_load_night), use_settings(settings):
        from prefect.client.schemas.objects import State  # noqa: PLC0415 - see above

        from flows.nightly import nightly  # noqa: PLC0415 - see above

        night: NightResult | State[Any] = nightly(**given)
    if isinstance(night, State):
        raise Terminal(night.message or "the run was skipped")
    return night


def _load_night() -> None:
    for name in ("flows.nightly", "schemas.landing", "exchange_calendars"):
        import_module(name)


def _absolute(given: Sequence[str]) -> tuple[str, ...]:
    """Addresses that mean the same wherever the flow runs."""
    return tuple(address if "://" in address else str(Path(address).resolve()) for address in given)


def scope_of(stored: str | None) -> tuple[str, ...]:
    """The accounts that a run was limited to, as the ledger stores them."""
    return tuple(json.loads(stored)) if stored else ()
