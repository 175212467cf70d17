"""The files that runs took or missed: which rows of a landed table came from where."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date

import sqlalchemy as sa

from schemas.enums import Step
from schemas.run import GLOBAL_SHARD
from warehouse.ledger.runs.runs import run_in
from warehouse.ledger.store import TAKEN_STATES, InputRow, NewRun, Store, inputs, runs, steps


@dataclass(frozen=True, slots=True)
class LandedBefore:
    """Where the lake has the rows of one table of a file: a run that landed all of them, and their numbers there."""

    run_id: str
    first_row: int
    last_row: int
    row_count: int


class Inputs(Store):
    """What is known of each file."""

    def landed_before(self, files: Sequence[tuple[str, date]], run: NewRun) -> dict[tuple[str, str, str], LandedBefore]:
        """Files whose rows other runs of this version landed whole: by content, reader and table; of several the newest run.

        A run over some accounts only landed only theirs, so that it does not count; one over all takes files of its own day.
        Nor does one of another day than the file's where a format read it: what is drawn from the day depends on it.

        Parameters
        ----------
        files
            SHA-256 of each, and the day of which its source was asked.
        run
            The run that wants them; it does not count itself.
        """
        is_other = runs.c.run_id != run.run_id
        is_same_reading = (inputs.c.reader == "") | sa.tuple_(inputs.c.sha256, runs.c.as_of_date).in_(files)
        is_pulled = sa.exists().where(
            steps.c.run_id == runs.c.run_id, steps.c.step == Step.PULL, steps.c.shard == GLOBAL_SHARD
        )
        query = (
            sa.select(inputs)
            .join(runs, runs.c.run_id == inputs.c.run_id)
            .where(inputs.c.sha256.in_({sha256 for sha256, _ in files} - {""}), inputs.c.state.in_(TAKEN_STATES))
            .where(runs.c.scope.is_(None), runs.c.base_run_id.is_(None), runs.c.code_version == run.code_version)
            .where(is_other, is_same_reading, is_pulled)
            .order_by(runs.c.started_at, runs.c.run_id, inputs.c.number)
        )
        with self.reading() as connection:
            rows = connection.execute(query).all()
        return {
            (row.sha256, row.reader, row.table_name): LandedBefore(
                row.run_id, row.first_row, row.last_row, row.row_count
            )
            for row in rows
        }

    def record_inputs(self, run_id: str, rows: Sequence[InputRow]) -> None:
        """Make ``rows`` the run's inputs, in place of those recorded before.

        Raises
        ------
        WrongUsage
            No such run.
        """
        with self.writing() as connection:
            run_in(connection, run_id)
            connection.execute(sa.delete(inputs).where(inputs.c.run_id == run_id))
            if rows:
                connection.execute(sa.insert(inputs), [{"run_id": run_id, **asdict(row)} for row in rows])

    def inputs_of(self, run_id: str) -> list[InputRow]:
        """Inputs of a run by their number."""
        query = sa.select(inputs).where(inputs.c.run_id == run_id).order_by(inputs.c.number)
        with self.reading() as connection:
            return [InputRow.of(row) for row in connection.execute(query)]

    def last_sequence(self, source: str, reader: str, before: date) -> tuple[date, int] | None:
        """The last number of a source's files and the as-of date of the run that took it; null if there is none.

        Looks at the newest date before ``before``, whatever became of its runs; among several files the greatest number.
        """
        query = (
            sa.select(runs.c.as_of_date, inputs.c.sequence)
            .join(runs, runs.c.run_id == inputs.c.run_id)
            .where(inputs.c.source == source, inputs.c.reader == reader, inputs.c.sequence.is_not(None))
            .where(inputs.c.state.in_(TAKEN_STATES), runs.c.as_of_date < before)
            .order_by(runs.c.as_of_date.desc(), inputs.c.sequence.desc())
            .limit(1)
        )
        with self.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (row.as_of_date, row.sequence)
