"""DuckDB connections whose extensions come from installed wheels: nothing is ever downloaded.

An extension's entry point is derived from its file name, and two wheels name the file differently from the extension, so each
is loaded through a link of the right name in a temporary folder of this process.
"""

import atexit
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

import duckdb

from schemas.errors import Terminal

EXTENSIONS: Final = {
    "ducklake": "ducklake",
    "sqlite": "sqlite_scanner",
    "postgres": "postgres_scanner",
    "httpfs": "httpfs",
}
"""Name in the wheel's package, name of the extension."""


@cache
def _links() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="trimtab-duckdb-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _extension_path(wheel: str) -> Path:
    folder = Path(str(files(f"duckdb_extension_{wheel}")))
    found = sorted(folder.glob(f"extensions/v{duckdb.__version__}/*.duckdb_extension"))
    if not found:
        raise Terminal(
            f"the DuckDB extension {wheel} is not installed for DuckDB {duckdb.__version__}\n\n"
            f"Hint: install duckdb-extension-{wheel}=={duckdb.__version__}."
        )
    return found[0]


def connect(*extensions: str) -> duckdb.DuckDBPyConnection:
    """An in-memory database with ``extensions`` (keys of ``EXTENSIONS``) loaded; it never reaches for the network to get one."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    for wheel in extensions:
        link = _links() / f"{EXTENSIONS[wheel]}.duckdb_extension"
        if not link.is_symlink():
            link.symlink_to(_extension_path(wheel))
        connection.execute(f"LOAD '{link}'")
    return connection


def quoted(text: str) -> str:
    """A SQL string literal, for statements that take no parameters (ATTACH)."""
    return "'" + text.replace("'", "''") + "'"
