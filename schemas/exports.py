"""What an export is written as, and where it is delivered: entries of ``[[profiles]]`` and ``[[deliveries]]`` in ``trimtab.toml``.

A profile is kept in the ledger with the export that it wrote, so that one begun under other settings is finished to the
same bytes. An address names no secret: passwords and keys come from the environment or from files that the settings name.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.addresses import NAME, Address
from schemas.enums import ProfileFormat

TAKEN: Final = frozenset({"accounts", "lots"})
"""Folders of every export, which a profile may not be named after."""


class Profile(BaseModel):
    """One more way in which an export's orders are written, beside the files that every export has. Frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=NAME)]
    """Folder of its files within the export."""
    format: ProfileFormat
    """How they are written."""
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


class Delivery(Address):
    """A place that finished exports are copied to."""

    custodians: tuple[str, ...] = ()
    """Whose orders may go there, and nobody else's; empty: everybody's."""
    profile: str = ""
    """Deliver only the folder of this profile, with its own manifest; empty: the whole export."""
    is_emptied: bool = False
    """Whether the receiver takes files away as they come; else one that is gone when all are there is told as a problem."""


class ExecutionSource(Address):
    """Where a broker or custodian puts files of executions; the name is whose execution ids they have, one a sender."""

    files: str = "*"
    """Names of the files to take, as a pattern."""
    format: Literal["", "csv", "fix", "flex", "alpaca"] = ""
    """Empty: told by what a file holds."""
    marker: str = ""
    """A file is complete when a file of its name and this ending (``.done``) stands beside it; empty: when it no longer grows."""
