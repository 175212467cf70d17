"""Where a night's inputs come from: one entry of ``[[sources]]`` in ``trimtab.toml``, or an address given with ``--source``.

An address names no secret: it is kept in the ledger. Passwords and keys come from the environment (``PGPASSWORD``,
``AWS_SECRET_ACCESS_KEY``, the variable that ``password_variable`` names) or from files that the settings name.
"""

import re
from datetime import date
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.enums import LandingTable

SCHEMES: Final = ("file", "s3", "postgresql", "sftp")
"""How an address may start; one without ``://`` is a folder."""
AS_OF: Final = re.compile(r"\{as_of(?::(?P<format>[^}]+))?\}")
"""``{as_of}`` stands for the as-of date in ISO 8601, ``{as_of:%Y%m%d}`` for any other way to write it."""


class Source(BaseModel):
    """A place that delivers landing tables, or a custodian's files that a format turns into them. Frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")] = "source"
    """How messages and the staging folder call it; one name a source."""
    url: str
    """A folder, ``s3://bucket/prefix``, ``sftp://user@host[:port]/folder`` or ``postgresql://user@host/database``; may hold ``{as_of}``."""
    format: str = ""
    """A mapping shipped with the program, by name, or the path of a TOML file; empty: the files are landing tables."""
    files: str = ""
    """Names of the files to take, as a pattern (``POS_{as_of:%Y%m%d}*.txt``); empty: what the format or the landing contract names."""
    tables: tuple[str, ...] = ()
    """Landing tables to take from here, each of which it must deliver; empty: all that it has."""
    custodians: tuple[str, ...] = ()
    """Custodians whose accounts wait for this source, and only they; empty: every account needs it."""
    marker: str = ""
    """A file is complete when a file of its name and this ending (``.done``) stands beside it; empty: when it no longer grows."""
    endpoint: str = ""
    """``s3://``: address of the server where it is not Amazon's, as ``http://host:port``."""
    region: str = "us-east-1"
    """``s3://``."""
    schema_name: str = "public"
    """``postgresql://``: the schema that holds the landing tables or views."""
    known_hosts: str = ""
    """``sftp://``: file with the host's key; empty: ``~/.ssh/known_hosts``."""
    key_file: str = ""
    """``sftp://``: private key; empty: the user's own keys, unless there is a password."""
    password_variable: str = ""
    """``sftp://``: name of the environment variable that holds the password, or the passphrase of the key."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        parts = urlsplit(self.url)
        if "://" in self.url and parts.scheme not in SCHEMES:
            raise ValueError(f"the address of {self.name} starts with {parts.scheme}; needed a folder or {_schemes()}")
        if parts.password or "password" in parts.query.lower():
            raise ValueError(
                f"the address of {self.name} holds a password; needed one without, secrets come by variables"
            )
        if self.files and not self.format:
            raise ValueError(f"{self.name} names files and no format; landing tables are named after their tables")
        if self.custodians and not self.tables and not self.format:
            raise ValueError(
                f"{self.name} serves custodians and names no tables; needed those that their accounts wait for"
            )
        unknown = sorted(set(self.tables) - set(LandingTable))
        if unknown:
            raise ValueError(f"{self.name} names the table {unknown[0]}; needed tables of {', '.join(LandingTable)}")
        return self

    @property
    def scheme(self) -> str:
        """``file`` for a folder."""
        return urlsplit(self.url).scheme if "://" in self.url else "file"

    def on(self, as_of: date) -> "Source":
        """The source of one night: ``{as_of}`` replaced in the address and in the pattern."""
        return self.model_copy(update={"url": dated(self.url, as_of), "files": dated(self.files, as_of)})


def dated(text: str, as_of: date) -> str:
    """The text with ``{as_of}`` and ``{as_of:<how to write it>}`` replaced by the date."""
    return AS_OF.sub(lambda found: as_of.strftime(found["format"] or "%Y-%m-%d"), text)


def _schemes() -> str:
    return ", ".join(f"{scheme}://" for scheme in SCHEMES)
