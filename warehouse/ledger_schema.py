"""Brings a ledger's tables up to date. The migrations lie beside this file and are found by path."""

from datetime import datetime
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.enums import Role
from schemas.errors import WrongUsage
from warehouse.ledger_store import Store
from warehouse.ledger_users import insert_user

HEAD: Final = "0007"
"""The newest migration. Kept here so that opening an up-to-date ledger need not load Alembic."""
MIGRATIONS: Final = Path(__file__).parent / "migrations"


def stored_revision(connection: Connection) -> str | None:
    """The migration a ledger stands at; null for an empty database."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return None if revision is None else str(revision)


def bring_up_to_date(store: Store, *, owner: str, now: datetime) -> None:
    """Apply what is missing, in one transaction; the first time, the owner becomes the ledger's first admin.

    Raises
    ------
    WrongUsage
        The ledger was written by a newer version of the program.
    """
    with store.reading() as connection:
        if stored_revision(connection) == HEAD:
            return
    with store.upgrading() as connection:
        before = stored_revision(connection)
        if before is not None and before > HEAD:
            raise WrongUsage(f"the ledger is at version {before}, this program knows {HEAD}\n\nHint: update trimtab.")
        if before != HEAD:
            upgrade(connection)
        if before is None:
            insert_user(connection, owner, [Role.ADMIN], actor=owner, now=now)


def upgrade(connection: Connection) -> None:
    """Apply the migrations that are missing, in the caller's transaction."""
    from alembic import command  # noqa: PLC0415 - slow to import, rarely needed
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
