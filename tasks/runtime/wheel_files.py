"""Data files in the wheels of other packages: read where they are installed, without importing what ships them."""

import bz2
import gzip
import zlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from schemas.errors import WrongUsage


def wheel_file(package: str, path: str, *, what: str, hint: str) -> bytes:
    """The content of a file that an installed distribution brings, unpacked where it ends in ``.gz`` or ``.bz2``.

    Parameters
    ----------
    package
        The distribution.
    path
        From where it is installed.
    what
        What the file holds, as the beginning of the message where it is not there.
    hint
        How to get it.

    Raises
    ------
    WrongUsage
        The distribution is not installed, or its files have moved.
    """
    name = path.rpartition("/")[2]
    try:
        content = Path(str(distribution(package).locate_file(path))).read_bytes()
        if name.endswith(".gz"):
            return gzip.decompress(content)
        return bz2.decompress(content) if name.endswith(".bz2") else content
    except PackageNotFoundError:
        raise WrongUsage(f"{what} are not installed: they come with {package}\n\nHint: {hint}") from None
    except (OSError, EOFError, zlib.error):
        raise WrongUsage(f"{what} cannot be read: {name} of {package}\n\nHint: {hint}") from None
