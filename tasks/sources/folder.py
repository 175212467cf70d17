"""Files of a folder on this machine, in place: nothing is copied.

A link to a file counts as that file. A folder, a pipe or a device that has a wanted name is refused.
"""

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from schemas.errors import InputRefused, SourceUnreachable
from schemas.sources import Source
from tasks.runtime import hash_file
from tasks.sources.fetched_file import FetchedFile
from tasks.sources.names import names_to_take


def fetch(source: Source, *, is_wanted: Callable[[str], bool]) -> tuple[FetchedFile, ...]:
    """The wanted files of the source's folder, sorted by name; none where there is no folder.

    Raises
    ------
    SourceUnreachable
        A file is being written.
    InputRefused
        The folder or a file may not be read, or a wanted name is no file's.
    """
    folder = source.folder(InputRefused)
    try:
        found = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        paths = [folder / name for name in names_to_take(found, is_wanted, source.marker)]
        for path in paths:
            _refuse_no_file(path)
        return tuple(_hash_unchanged(source, path) for path in paths)
    except PermissionError as error:
        raise InputRefused(
            f"{error.filename} of {source.name} may not be read; needed a folder and files that this user may read\n\n"
            "Hint: give read access to the user that runs the night."
        ) from error
    except OSError as error:
        raise SourceUnreachable(
            f"{error.filename} of {source.name} could not be read: {error.strerror}\n\n"
            "Hint: files that are still arriving are taken at the next try; otherwise look at the disk or the mount."
        ) from error


def _refuse_no_file(path: Path) -> None:
    """Refuse what only has the name of a file: a pipe would never end, and a table must not be missed for a broken link."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if not path.is_symlink():
            raise
        what = "is a link to nothing"
    except PermissionError:
        raise
    except OSError as error:
        what = f"cannot be opened ({error.strerror})"
    else:
        if stat.S_ISREG(mode):
            return
        what = "is a folder" if stat.S_ISDIR(mode) else "is a pipe or a device"
    raise InputRefused(f"{path.name} {what}; needed a file\n\nHint: put the file itself in its place.")


def _hash_unchanged(source: Source, path: Path) -> FetchedFile:
    """The file with its hash; refused where it changed meanwhile."""
    before = path.stat()
    digest = hash_file(path)
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise SourceUnreachable(
            f"{path.name} of {source.name} is still being written: it had {before.st_size} bytes, now {after.st_size}; "
            "needed a file that no longer changes\n\nHint: deliver under a name that ends in .part, then rename."
        )
    modified_at = datetime.fromtimestamp(after.st_mtime, UTC)
    return FetchedFile(source.name, path.name, path, after.st_size, digest, modified_at)
