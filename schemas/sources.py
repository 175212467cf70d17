"""Where a night's inputs come from: one entry of ``[[sources]]`` in ``trimtab.toml``, or an address given with ``--source``.

An address names no secret: it is kept in the ledger. Passwords and keys come from the environment (``PGPASSWORD``,
``AWS_SECRET_ACCESS_KEY``, the variable that ``password_variable`` names) or from files that the settings name.
"""

import re
from datetime import date, time
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, model_validator

from schemas.addresses import NAME, Address
from schemas.enums import LandingTable

AS_OF: Final = re.compile(r"\{as_of(?::(?P<format>[^}]+))?\}")
"""``{as_of}`` stands for the as-of date in ISO 8601, ``{as_of:%Y%m%d}`` for any other way to write it."""


class Source(Address):
    """A place that delivers landing tables, or a custodian's files that a format turns into them. Frozen."""

    SCHEMES: ClassVar[tuple[str, ...]] = ("file", "s3", "postgresql", "sftp")

    name: Annotated[str, Field(pattern=NAME)] = "source"
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
    morning_until: time | None = None
    """Files that say a time of day (``DTASOF`` of OFX): one before this is of the trading day before. Null: the day that is written counts."""
    schema_name: str = "public"
    """``postgresql://``: the schema that holds the landing tables or views."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.morning_until and not self.format:
            raise ValueError(f"{self.name} has morning_until and no format; landing tables say no time of day")
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

    def on(self, day: date) -> "DatedSource":
        """The source as it is asked of one day: ``{as_of}`` replaced in the address and in the pattern."""
        url, files = fill_date(self.url, day), fill_date(self.files, day)
        return DatedSource(**{**dict(self), "url": url, "files": files, "day": day})


class DatedSource(Source):
    """A source asked of one day: what it delivers is of that day. No setting makes one, only ``Source.on``."""

    day: date
    """Of which a file must be that states its own, and whose rows a database delivers."""


def fill_date(text: str, as_of: date) -> str:
    """The text with ``{as_of}`` and ``{as_of:<how to write it>}`` replaced by the date."""
    return AS_OF.sub(lambda found: as_of.strftime(found["format"] or "%Y-%m-%d"), text)
