"""Makes a ledger's tables, or brings those of an older one up to date. A new ledger is made whole; migrations are found by path."""

import threading
from datetime import datetime
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.enums import Role
from schemas.errors import WrongUsage
from warehouse.ledger.access import insert_user
from warehouse.ledger.store import Store, create_tables

HEAD: Final = "0017"
"""The newest migration. Kept here so that opening an up-to-date ledger need not load Alembic."""
FIRST: Final = "0007"
"""The oldest version that can be brought up to date; those before it were steps of development."""
ENCODINGS: Final = frozenset({"UTF8", "SQL_ASCII"})
"""PostgreSQL's databases that keep every name and note as it was written."""
MIGRATIONS: Final = Path(__file__).parents[1] / "migrations"
_ALEMBIC: Final = threading.Lock()
"""Alembic keeps what it works on in variables of its modules: one thread at a time."""


def stored_revision(connection: Connection) -> str | None:
    """The migration a ledger stands at; null for an empty database."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return None if revision is None else str(revision)


def bring_up_to_date(store: Store, *, owner: str, now: datetime) -> None:
    """Make or change what is missing, in one transaction; the first time, the owner becomes the ledger's first admin.

    Raises
    ------
    WrongUsage
        The ledger is of a newer program or of one before the first release, or a new one would be in a database that cannot keep all
        letters.
    """
    with store.reading() as connection:
        if stored_revision(connection) == HEAD:
            return
    with store.upgrading() as connection:
        before = stored_revision(connection)
        if before is not None and before > HEAD:
            raise WrongUsage(f"the ledger is at version {before}, this program knows {HEAD}\n\nHint: update trimtab.")
        if before is not None and before < FIRST:
            raise WrongUsage(
                f"the ledger is at version {before}, made by a trimtab before its first release; needed {FIRST} or newer\n\n"
                "Hint: nothing was changed in it. Start anew with another TRIMTAB_HOME (or an empty database in TRIMTAB_LEDGER_URL); "
                "the old home is still read by the program that made it."
            )
        if before is None:
            _need_all_letters(connection)
        if before != HEAD:
            upgrade(connection)
        if before is None:
            insert_user(connection, owner, [Role.ADMIN], actor=owner, now=now)


def _need_all_letters(connection: Connection) -> None:
    if connection.dialect.name != "postgresql":
        return
    encoding = connection.scalar(sa.text("SHOW server_encoding"))
    if encoding not in ENCODINGS:
        raise WrongUsage(
            f"the ledger's database has the encoding {encoding}, in which a name or a note may be impossible to write; needed UTF8\n\n"
            "Hint: CREATE DATABASE trimtab TEMPLATE template0 ENCODING 'UTF8'."
        )


def upgrade(connection: Connection) -> None:
    """Make the tables in an empty database, or apply the migrations that are missing, in the caller's transaction."""
    from alembic import command  # noqa: PLC0415 - slow to import, rarely needed
    from alembic.config import Config  # noqa: PLC0415

    with _ALEMBIC:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        if stored_revision(connection) is None:
            create_tables(connection)
            command.stamp(config, "head")
        else:
            command.upgrade(config, "head")
