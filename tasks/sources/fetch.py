"""Fetch what a source delivers for a night, wherever it is."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

from schemas.sources import Source
from tasks.sources import folder, postgres, s3, sftp
from tasks.sources.delivered import Delivered


def fetch(source: Source, as_of: date, *, is_wanted: Callable[[str], bool], staging: Path) -> tuple[Delivered, ...]:
    """The files that the source has for the night and that are wanted, whole, on this machine, sorted by name.

    Parameters
    ----------
    source
        The source of that night: its ``{as_of}`` are replaced.
    as_of
        The as-of date; a database delivers its rows.
    is_wanted
        Judges a file's name; a database's table ``lots`` is asked for as ``lots.parquet``.
    staging
        Private folder of this source and night for what must be copied; a folder's files stay where they are.

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
            return sftp.fetch(source, is_wanted=is_wanted, staging=staging)
        case "postgresql":
            return postgres.fetch(source, as_of, is_wanted=is_wanted, staging=staging)
        case _:
            return folder.fetch(source, is_wanted=is_wanted)
