"""Reading the audit chain, and checking that it is whole and that the ledger's states are what it says."""

from collections.abc import Iterable, Iterator

import sqlalchemy as sa

from schemas.errors import AuditBroken
from warehouse.ledger.store.audit_chain import GENESIS, row_hash
from warehouse.ledger.store.audit_states import state_faults, told
from warehouse.ledger.store.rows import AuditRow
from warehouse.ledger.store.store import Store
from warehouse.ledger.store.tables import audit, audit_head

Fault = tuple[int | None, str]
"""The row of the chain that does not fit, null where it is another's, and a sentence."""


class Audit(Store):
    """Reading and checking the chain."""

    def audit_rows(
        self,
        *,
        limit: int | None = None,
        proposal_id: str | None = None,
        run_id: str | None = None,
        actor: str | None = None,
        below: int | None = None,
    ) -> list[AuditRow]:
        """The newest ``limit`` rows that match, of numbers below ``below``, oldest first; null = no condition."""
        query = sa.select(audit).order_by(audit.c.seq.desc()).limit(limit)
        wanted = {audit.c.proposal_id: proposal_id, audit.c.run_id: run_id, audit.c.actor: actor}
        query = query.where(*(column == value for column, value in wanted.items() if value is not None))
        if below is not None:
            query = query.where(audit.c.seq < below)
        with self.reading() as connection:
            return [AuditRow(*row) for row in connection.execute(query)][::-1]

    def audit_hashes(self, seqs: Iterable[int] = ()) -> tuple[int, dict[int, str]]:
        """How long the chain is, and the hashes of its newest row and of those numbered, where they are there; of no row, ``GENESIS``."""
        with self.reading() as connection:
            head = connection.execute(
                sa.select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
            ).first()
            wanted = sa.select(audit.c.seq, audit.c.hash).where(audit.c.seq.in_(list(seqs)))
            found = {seq: str(digest) for seq, digest in connection.execute(wanted)}
        length, newest = (0, GENESIS) if head is None else head
        return length, {**found, length: newest}

    def verify_audit(self) -> int:
        """Recompute the whole chain, and compare with it every state of a run or a proposal; the number of rows checked.

        Raises
        ------
        AuditBroken
            Names every row that is missing or not what was written, and every proposal and run that the chain says something else of.
        """
        with self.reading() as connection:
            head = connection.execute(sa.select(audit_head.c.seq, audit_head.c.hash)).one()
            rows = connection.execution_options(yield_per=10_000).execute(sa.select(audit).order_by(audit.c.seq))
            faults = list(_chain_faults((AuditRow(*row) for row in rows), head.seq, head.hash))
            faults += [(None, fault) for fault in state_faults(connection)]
        if faults:
            raise AuditBroken(faults[0][0], told([fault for _, fault in faults]))
        return int(head.seq)


def _chain_faults(rows: Iterable[AuditRow], length: int, newest: str) -> Iterator[Fault]:
    """What of the chain is not as it was written; ``length`` and ``newest``: of its head."""
    seq, previous = 0, GENESIS
    for row in rows:
        seq += 1
        if row.seq != seq:
            gap = (
                f"audit row {seq} is missing"
                if row.seq == seq + 1
                else f"audit rows {seq} to {row.seq - 1} are missing"
            )
            yield seq, gap
        elif row_hash(row) != row.hash:
            about = "" if row.proposal_id is None else f" (of proposal {row.proposal_id})"
            yield seq, f"audit row {seq} is not what was written{about}"
        elif row.previous_hash != previous:
            yield seq, f"audit row {seq} does not follow from the one before"
        seq, previous = row.seq, row.hash
    if (seq, previous) != (length, newest):
        yield seq + 1, f"the audit chain ends at row {seq}, but {length} were written"
