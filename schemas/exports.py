"""What an export is written as, and where it is delivered: entries of ``[[profiles]]`` and ``[[deliveries]]`` in ``trimtab.toml``.

A profile is kept in the ledger with the export that it wrote, so that one begun under other settings is finished to the
same bytes. An address names no secret: passwords and keys come from the environment or from files that the settings name.
"""

from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.enums import ProfileFormat

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
TAKEN: Final = frozenset({"accounts", "lots"})
"""Folders of every export, which a profile may not be named after."""
SCHEMES: Final = ("file", "s3", "sftp")


class Profile(BaseModel):
    """One more way in which an export's orders are written, beside the files that every export has. Frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=NAME)]
    """Folder of its files within the export."""
    format: ProfileFormat
    custodians: tuple[str, ...] = ()
    """Whose orders it writes; empty: everybody's."""
    grain: Literal["accounts", "blocks"] = "accounts"
    """FIX: an order an account, or a block of many accounts with its pre-trade allocations."""
    sender: str = ""
    """FIX: ``SenderCompID`` (49)."""
    target: str = ""
    """FIX: ``TargetCompID`` (56)."""
    mapping: str = ""
    """``mapped``: path of the TOML file in the settings, and its text from the claim of an export on."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.name.lower() in TAKEN:
            raise ValueError(f"a profile is named {self.name}, which every export has; needed another name")
        is_fix = self.format in {ProfileFormat.FIX44, ProfileFormat.FIX50SP2}
        if is_fix and not (self.sender and self.target):
            raise ValueError(f"the profile {self.name} lacks sender or target; needed both CompIDs of the FIX session")
        if self.format is ProfileFormat.MAPPED and not self.mapping:
            raise ValueError(f"the profile {self.name} lacks mapping; needed the TOML file that says its columns")
        return self


class Delivery(BaseModel):
    """A place that finished exports are copied to. Frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=NAME)]
    """How messages and the ledger call it."""
    url: str
    """A folder, ``s3://bucket/prefix`` or ``sftp://user@host[:port]/folder``."""
    custodians: tuple[str, ...] = ()
    """Whose orders may go there, and nobody else's; empty: everybody's."""
    profile: str = ""
    """Deliver only the folder of this profile, with its own manifest; empty: the whole export."""
    is_emptied: bool = False
    """Whether the receiver takes files away as they come; else one that is gone when all are there is told as a problem."""
    endpoint: str = ""
    """``s3://``: address of the server where it is not Amazon's, as ``http://host:port``."""
    region: str = "us-east-1"
    """``s3://``."""
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
            raise ValueError(
                f"the address of {self.name} starts with {parts.scheme}; needed a folder, s3:// or sftp://"
            )
        if parts.password or "password" in parts.query.lower():
            raise ValueError(
                f"the address of {self.name} holds a password; needed one without, secrets come by variables"
            )
        return self

    @property
    def scheme(self) -> str:
        """``file`` for a folder."""
        return urlsplit(self.url).scheme if "://" in self.url else "file"


class ExecutionSource(BaseModel):
    """Where a broker or custodian puts files of executions. Frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=NAME)]
    """Whose execution ids the files have; one name a sender."""
    url: str
    """A folder, ``s3://bucket/prefix`` or ``sftp://user@host[:port]/folder``."""
    files: str = "*"
    """Names of the files to take, as a pattern."""
    format: Literal["", "csv", "fix", "flex", "alpaca"] = ""
    """Empty: told by what a file holds."""
    marker: str = ""
    """A file is complete when a file of its name and this ending (``.done``) stands beside it; empty: when it no longer grows."""
    endpoint: str = ""
    region: str = "us-east-1"
    known_hosts: str = ""
    key_file: str = ""
    password_variable: str = ""
    """As of a delivery."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        Delivery(name=self.name, url=self.url)
        return self
