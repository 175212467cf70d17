"""The kill switch: while a halt is in force nothing is exported and no run is released."""

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.enums import Role
from schemas.errors import RunHeld, WrongUsage
from warehouse.ledger.access import need_role
from warehouse.ledger.store import Event, HaltRow, Store, canonical, halts
from warehouse.ledger.store import audit_chain as ledger_audit

IN_FORCE: Final = halts.c.lifted_at.is_(None)


def halt_in(connection: Connection) -> HaltRow | None:
    """The halt in force, or null."""
    row = connection.execute(sa.select(halts).where(IN_FORCE)).one_or_none()
    return None if row is None else HaltRow(*row)


def need_no_halt(connection: Connection) -> None:
    """Refuse while a halt is in force.

    Raises
    ------
    RunHeld
        Says who halted, when and why, and how to lift it.
    """
    if (halt := halt_in(connection)) is not None:
        raise RunHeld(
            f"everything is halted since {halt.halted_at:%Y-%m-%d %H:%M} UTC by {halt.actor}: {halt.note}\n\n"
            "Hint: a releaser or an admin lifts the halt with `trimtab resume --note WHY`."
        )


class Halts(Store):
    """Stopping all that leaves, and letting it go on."""

    def halt(self, actor: str, note: str, now: datetime) -> HaltRow | None:
        """Halt. If it is halted already, that halt stays as it is and is what comes back; else null.

        Raises
        ------
        DecisionRefused
            The actor is neither releaser nor admin.
        WrongUsage
            The note is empty.
        """
        with self.writing() as connection:
            need_role(connection, actor, Role.RELEASER)
            if not note.strip():
                raise WrongUsage("a halt needs a note that says why")
            if (earlier := halt_in(connection)) is not None:
                return earlier
            connection.execute(sa.insert(halts), {"actor": actor, "note": note, "halted_at": now})
            ledger_audit.append(connection, [Event(actor, "halted", detail=canonical({"note": note}))], now)
        return None

    def lift_halt(self, actor: str, note: str, now: datetime) -> HaltRow:
        """Lift the halt in force; it comes back as it was.

        Raises
        ------
        DecisionRefused
            The actor is neither releaser nor admin.
        WrongUsage
            Nothing is halted, or the note is empty.
        """
        with self.writing() as connection:
            need_role(connection, actor, Role.RELEASER)
            if not note.strip():
                raise WrongUsage("lifting a halt needs a note that says why it may be lifted")
            if (lifted := halt_in(connection)) is None:
                raise WrongUsage("nothing is halted\n\nHint: name a run to release that run.")
            values = {"lifted_by": actor, "lift_note": note, "lifted_at": now}
            connection.execute(sa.update(halts).where(IN_FORCE).values(**values))
            detail = canonical({"note": note, "halted_by": lifted.actor, "halt_note": lifted.note})
            ledger_audit.append(connection, [Event(actor, "halt_lifted", detail=detail)], now)
        return lifted

    def need_no_halt(self) -> None:
        """Refuse while a halt is in force.

        Raises
        ------
        RunHeld
            It is.
        """
        with self.reading() as connection:
            need_no_halt(connection)

    def current_halt(self) -> HaltRow | None:
        """The halt in force, or null."""
        with self.reading() as connection:
            return halt_in(connection)
