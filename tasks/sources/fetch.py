"""Fetch what a source delivers for a day, wherever it is."""

from collections.abc import Callable
from pathlib import Path

from schemas.sources import DatedSource
from tasks.sources import folder, postgres, s3
from tasks.sources.fetched_file import FetchedFile


def fetch_files(source: DatedSource, *, is_wanted: Callable[[str], bool], staging: Path) -> tuple[FetchedFile, ...]:
    """The files that the source has for its day and that are wanted, whole, on this machine, sorted by name.

    Parameters
    ----------
    source
        A database delivers the rows of its day.
    is_wanted
        Judges a file's name; a database's table ``lots`` is asked for as ``lots.parquet``.
    staging
        Private folder of this source and day for what must be copied; a folder's files stay where they are.

    Returns
    -------
    tuple[Delivered, ...]
        Empty where there is nothing (yet): no folder or prefix, no wanted file that is complete.

    Raises
    ------
    SourceUnreachable
        The source does not answer, broke off, or a file of a folder is still being written. Try again.
    InputRefused
        The source turned us away, or its address or a column cannot be used. Nothing changes until a person acts.
    Terminal
        The staging folder cannot be written.
    """
    match source.scheme:
        case "s3":
            return s3.fetch(source, is_wanted=is_wanted, staging=staging)
        case "sftp":
            from tasks.sources import sftp  # noqa: PLC0415 - asyncssh looks for a C library with a compiler when it is imported

            return sftp.fetch(source, is_wanted=is_wanted, staging=staging)
        case "postgresql":
            return postgres.fetch(source, is_wanted=is_wanted, staging=staging)
        case _:
            return folder.fetch(source, is_wanted=is_wanted)
