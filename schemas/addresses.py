"""An address outside, and how it is reached: what places that inputs come from and places that exports go to have in common.

An address names no secret: it is kept in the ledger. Passwords and keys come from the environment or from files that the
settings name.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Final, Self
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.errors import Terminal

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"


class Address(BaseModel):
    """A folder, or an address whose scheme is one of ``SCHEMES``. Frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    SCHEMES: ClassVar[tuple[str, ...]] = ("file", "s3", "sftp")
    """How an address may start; one without ``://`` is a folder."""

    name: Annotated[str, Field(pattern=NAME)]
    """How messages and the ledger call it."""
    url: str
    """A folder, ``s3://bucket/prefix`` or ``sftp://user@host[:port]/folder``."""
    endpoint: str = ""
    """``s3://``: address of the server where it is not Amazon's, as ``http://host:port``."""
    region: str = "us-east-1"
    """``s3://``: region of the bucket."""
    known_hosts: str = ""
    """``sftp://``: file with the host's key; empty: ``~/.ssh/known_hosts``."""
    key_file: str = ""
    """``sftp://``: private key; empty: the user's own keys, unless there is a password."""
    password_variable: str = ""
    """``sftp://``: name of the environment variable that holds the password, or the passphrase of the key."""

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        parts = urlsplit(self.url)
        if "://" in self.url and parts.scheme not in self.SCHEMES:
            schemes = ", ".join(f"{scheme}://" for scheme in self.SCHEMES)
            raise ValueError(f"the address of {self.name} starts with {parts.scheme}; needed a folder or {schemes}")
        if parts.password or "password" in parts.query.lower():
            raise ValueError(
                f"the address of {self.name} holds a password; needed one without, secrets come by variables"
            )
        return self

    def folder(self, error: type[Terminal]) -> Path:
        """The folder of this machine that is meant; ``error`` is raised where the address names another machine."""
        if "://" not in self.url:
            return Path(self.url)
        parts = urlsplit(self.url)
        if parts.netloc not in {"", "localhost"}:
            raise error(
                f"the address of {self.name} names the machine {parts.netloc}; needed a folder of this one\n\n"
                "Hint: write file:///folder, with three slashes, or the plain path."
            )
        return Path(unquote(parts.path))

    @property
    def scheme(self) -> str:
        """``file`` for a folder."""
        return urlsplit(self.url).scheme if "://" in self.url else "file"
