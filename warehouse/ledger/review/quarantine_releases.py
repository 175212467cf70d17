"""Rows that a person let out of quarantine: for their date for good, with a note, never taken back."""

from datetime import date, datetime
from typing import Final

import polars as pl
import sqlalchemy as sa

from schemas.enums import Role
from schemas.errors import WrongUsage
from warehouse.ledger.access import need_role
from warehouse.ledger.review.proposals import MOMENT, to_frame
from warehouse.ledger.runs import run_in
from warehouse.ledger.store import Event, Store, canonical, insert_columns, row_releases
from warehouse.ledger.store import audit_chain as ledger_audit

ROWS: Final = ("quarantine_id", "table_name", "broken_rules")
"""What is kept of a row. ``broken_rules`` is what the person let pass, joined by a bar."""
RELEASED: Final[dict[str, pl.DataType]] = {
    **{name: pl.String() for name in (*ROWS, "actor", "note")},
    "released_at": MOMENT,
}


class Releases(Store):
    """Releasing rows, and reading what was released."""

    def release_rows(self, run_id: str, rows: pl.DataFrame, *, actor: str, note: str, now: datetime) -> int:
        """Release rows (``quarantine_id, table_name, broken_rules``) seen in a run, for its as-of date; how many are new.

        A row released before stays as it was released then.

        Raises
        ------
        DecisionRefused
            The actor is neither reviewer nor releaser nor admin.
        WrongUsage
            No such run, or the note is empty.
        """
        with self.writing() as connection:
            run = run_in(connection, run_id)
            need_role(connection, actor, Role.REVIEWER, Role.RELEASER)
            if not note.strip():
                raise WrongUsage("a release needs a note that says why the rows may be used")
            of_date = row_releases.c.as_of_date == run.as_of_date
            known = set(connection.scalars(sa.select(row_releases.c.quarantine_id).where(of_date)))
            new = rows.select(ROWS).unique("quarantine_id", keep="first").sort("quarantine_id")
            new = new.filter(~pl.col("quarantine_id").is_in(known))
            shared = {"as_of_date": run.as_of_date, "run_id": run_id, "actor": actor, "note": note, "released_at": now}
            insert_columns(connection, row_releases, {name: new[name].to_list() for name in ROWS}, shared)
            details = (canonical({**row, "note": note}) for row in new.iter_rows(named=True))
            ledger_audit.append(connection, [Event(actor, "row_released", run_id, detail=one) for one in details], now)
        return new.height

    def released_rows(self, as_of_date: date) -> pl.DataFrame:
        """Rows released for a date, by whom, when and why; sorted by ``quarantine_id``."""
        of_date = row_releases.c.as_of_date == as_of_date
        query = sa.select(*row_releases.c[tuple(RELEASED)]).where(of_date).order_by(row_releases.c.quarantine_id)
        with self.reading() as connection:
            return to_frame(connection.execute(query).all(), RELEASED)
