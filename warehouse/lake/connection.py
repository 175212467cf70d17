"""DuckDB connections whose extensions come from installed wheels: nothing is ever downloaded.

An extension's entry point is derived from its file name, and two wheels name the file differently from the extension, so each
is loaded through a link of the right name in a temporary folder of this process.
"""

import atexit
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import duckdb

from schemas.errors import Terminal

EXTENSIONS: Final = {
    "ducklake": "ducklake",
    "sqlite": "sqlite_scanner",
    "postgres": "postgres_scanner",
    "httpfs": "httpfs",
}
"""Name in the wheel's package, name of the extension."""
LINKS: Final = "trimtab-duckdb-"
"""How the folder of links of a process is called, before its number: ``maintain`` removes those of processes that are gone."""
HTTP: Final[Mapping[str, int]] = {"http_retries": 8, "http_retry_wait_ms": 50, "http_retry_backoff": 2}
"""An object store that answers one request in twenty with an error, or drops it, must not end a night."""
MEGABYTE: Final = 1_000_000


@dataclass
class Bounds:
    """What DuckDB may take of this process; null: four fifths of the machine's memory, and all of its processors."""

    memory_bytes: int | None = None
    threads: int | None = None


bounds: Final = Bounds()
"""Of connections that are made from here on. Where several processes share a machine each must know its part."""


@cache
def _links() -> Path:
    folder = tempfile.TemporaryDirectory(prefix=f"{LINKS}{os.getpid()}-")
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


_checked: Final[set[tuple[str, int, int, int]]] = set()
"""Files whose signature DuckDB has checked in this process."""


def _stamp_of(path: Path) -> tuple[str, int, int, int]:
    """Another one where the file is another, or was written to."""
    found = path.stat()
    return str(path), found.st_ino, found.st_size, found.st_mtime_ns


def connect(*extensions: str) -> duckdb.DuckDBPyConnection:
    """An in-memory database with ``extensions`` (keys of ``EXTENSIONS``) loaded; it never reaches for the network to get one.

    What does not fit into its memory it writes to the temporary folder of this process, within ``bounds``. The signature of an
    extension is checked when this process loads its file first, which takes a third of a second; what is loaded by a statement later is
    checked always.
    """
    files_of = {wheel: _stamp_of(_extension_path(wheel)) for wheel in extensions}
    is_checked = bool(extensions) and _checked.issuperset(files_of.values())
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_unsigned_extensions": is_checked,
        "temp_directory": str(_links() / "spilled"),
    }
    if bounds.memory_bytes:
        config["memory_limit"] = f"{bounds.memory_bytes // MEGABYTE}MB"
    if bounds.threads:
        config["threads"] = bounds.threads
    connection = duckdb.connect(config=config)
    for wheel in extensions:
        link = _links() / f"{EXTENSIONS[wheel]}.duckdb_extension"
        with suppress(FileExistsError):
            link.symlink_to(_extension_path(wheel))
        connection.execute(f"LOAD '{link}'")
    if is_checked:
        connection.execute("SET allow_unsigned_extensions = false")
    _checked.update(files_of.values())
    if "httpfs" in extensions:
        for name, value in HTTP.items():
            connection.execute(f"SET {name} = {value}")
    return connection


def s3_secret(variables: Mapping[str, str]) -> str:
    """The statement that tells DuckDB what the variables of the AWS tools say about S3: keys, region, endpoint.

    An endpoint of one's own (MinIO, Ceph) is addressed by path: buckets have no host names there.
    """
    endpoint = urlsplit(variables.get("AWS_ENDPOINT_URL_S3") or variables.get("AWS_ENDPOINT_URL") or "")
    told = {
        "KEY_ID": variables.get("AWS_ACCESS_KEY_ID"),
        "SECRET": variables.get("AWS_SECRET_ACCESS_KEY"),
        "SESSION_TOKEN": variables.get("AWS_SESSION_TOKEN"),
        "REGION": variables.get("AWS_REGION") or variables.get("AWS_DEFAULT_REGION"),
        "ENDPOINT": f"{endpoint.netloc}{endpoint.path.rstrip('/')}",
        "URL_STYLE": "path" if endpoint.netloc else "",
    }
    options = ["TYPE s3", "PROVIDER config", *(f"{name} {sql_literal(value)}" for name, value in told.items() if value)]
    return f"CREATE SECRET ({', '.join(options)}, USE_SSL {'false' if endpoint.scheme == 'http' else 'true'})"


def sql_literal(text: str) -> str:
    """A SQL string literal, for statements that take no parameters (ATTACH)."""
    return "'" + text.replace("'", "''") + "'"
