"""Files of executions as brokers and custodians put them somewhere: each is fetched whole and read once."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import polars as pl

from schemas.errors import TrimtabError
from schemas.exports import ExecutionSource
from schemas.settings import Settings
from schemas.sources import Source
from tasks.core.export import sha256
from tasks.executions import ExecutionFormat
from tasks.reconcile.reconcile import ReconcileResult, reconcile
from tasks.reconcile.security_names import security_names
from tasks.runtime import current_actor, open_ledger, utc_now
from tasks.sources import folder, s3
from warehouse.lake import open_lake
from warehouse.ledger import Answers, Executions, Runs


@dataclass(frozen=True, slots=True)
class ExecutionFileResult:
    """One file that was new. ``done`` null: it was refused, ``problem`` says why."""

    source: str
    name: str
    done: ReconcileResult | None
    problem: str | None


def reconcile_new(settings: Settings) -> list[ExecutionFileResult]:
    """Take in every file of the settings' sources that was not read before; one that is refused does not stop the others.

    A source that does not answer, or turns us away, is a problem of its own and stops no other.
    """
    with closing(open_ledger(settings)) as ledger:
        by = Receiver.of(settings, ledger.executions, ledger.answers, ledger.runs)
        return [one for source in settings.executions for one in _of_source(by, source)]


def reconcile_one(settings: Settings, path: Path, *, source: str = "", fmt: str | None = None) -> ReconcileResult:
    """Take in one file.

    Raises
    ------
    TrimtabError
        As ``reconcile``.
    """
    with closing(open_ledger(settings)) as ledger:
        return Receiver.of(settings, ledger.executions, ledger.answers, ledger.runs).take(path, source, fmt=fmt)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who takes files in: the settings, the parts of the ledger that they go to, and what securities are called since."""

    settings: Settings
    executions: Executions
    answers: Answers
    names: Callable[[], pl.DataFrame]

    @classmethod
    def of(cls, settings: Settings, executions: Executions, answers: Answers, runs: Runs) -> "Receiver":
        """With the names that the newest night knows; the lake is opened where they are asked for."""
        return cls(settings, executions, answers, lambda: security_names(open_lake(settings), runs))

    def take(self, path: Path, source: str, *, fmt: str | None) -> ReconcileResult:
        """As ``reconcile``, for whoever runs this, now."""
        return reconcile(
            path,
            executions=self.executions,
            answers=self.answers,
            actor=current_actor(),
            now=utc_now(),
            source=source,
            format=ExecutionFormat(fmt) if fmt else None,
            min_units=self.settings.min_allocation_units,
            names=self.names,
        )


def _of_source(by: Receiver, source: ExecutionSource) -> Iterator[ExecutionFileResult]:
    read = by.executions.files_read(source.name)
    try:
        files = list(_fetch_files(by.settings, source))
    except TrimtabError as error:
        yield ExecutionFileResult(source.name, "", None, str(error))
        return
    for path, name in files:
        if sha256(path.read_bytes()) in read:
            continue
        try:
            done = by.take(path, source.name, fmt=source.format)
            yield ExecutionFileResult(source.name, name, done, None)
        except TrimtabError as error:
            yield ExecutionFileResult(source.name, name, None, str(error))
        except pl.exceptions.PolarsError as error:  # amounts beyond any that we can add up
            yield ExecutionFileResult(
                source.name, name, None, f"its amounts cannot be reckoned with ({type(error).__name__})"
            )


def _fetch_files(settings: Settings, source: ExecutionSource) -> Iterator[tuple[Path, str]]:
    """The source's files on this machine, by name."""
    same = ("name", "url", "marker", "endpoint", "region", "known_hosts", "key_file", "password_variable")
    place = Source(**{name: getattr(source, name) for name in same})

    def is_wanted(name: str) -> bool:
        return fnmatch(name, source.files)

    staging = settings.staging_folder / "executions" / source.name
    match place.scheme:
        case "s3":
            found = s3.fetch(place, is_wanted=is_wanted, staging=staging)
        case "sftp":
            from tasks.sources import sftp  # noqa: PLC0415 - asyncssh looks for a C library with a compiler when it is imported

            found = sftp.fetch(place, is_wanted=is_wanted, staging=staging)
        case _:
            found = folder.fetch(place, is_wanted=is_wanted)
    yield from ((Path(each.path), each.name) for each in found)
