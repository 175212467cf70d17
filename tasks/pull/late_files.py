"""A night that was run before: whether files have come since that it had to do without, and nothing else has changed.

A night's runs over its date form a chain: one over all accounts, then one for each time late files came, over the accounts
that those cover. A file that was taken and is no longer at its source (many custodians move what was fetched) counts as
unchanged: what was landed of it stands. One that came and cannot be used is a late file too: its accounts wait.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tasks.pull.inputs import TakenFiles
from warehouse.ledger import InputRow, Inputs, InputState, Releases, RunRow, Runs


@dataclass(frozen=True, slots=True)
class LateFiles:
    """``base``: the night's run over all accounts; ``newest``: the last to add to it; ``custodians``: whose files came since."""

    base: RunRow
    newest: RunRow
    custodians: tuple[str, ...]


def compare_with_earlier_runs(
    runs: Runs, inputs: Inputs, readmissions: Releases, as_of: date, taken: TakenFiles
) -> RunRow | LateFiles | None:
    """What a night that was run before comes to: the run that stands, the late files to run, or null: all accounts anew.

    Parameters
    ----------
    runs, inputs, readmissions
        The ledger's: the night's runs, what they took, and rows that people let pass.
    as_of
        The night.
    taken
        What there is now.

    Notes
    -----
    A run from before a row of the night was released from quarantine does not stand.
    """
    base = runs.full_run_of(as_of)
    if base is None:
        return None
    chain = [run for run in runs.done_runs_since(base, as_of + timedelta(days=1)) if _belongs_to(run, base)]
    newest_release = readmissions.released_rows(as_of)["released_at"].max()
    if isinstance(newest_release, datetime) and newest_release >= chain[-1].started_at:
        return None
    seen: dict[str, frozenset[tuple[str, str]]] = {}
    for run in chain:
        seen |= _taken_before(inputs.inputs_of(run.run_id))
    now = _contents(taken)
    missing = seen.keys() - now.keys() - {each.source.name for each in taken.absent}
    changed = {source for source in now if now[source] != seen.get(source)}
    if not changed and not missing:
        return chain[-1]
    sources = [*(each.source for each in taken.inputs), *(each.source for each in taken.absent)]
    serves = {source.name: source.custodians for source in sources}
    if missing or not all(serves[source] for source in changed):
        return None
    return LateFiles(base, chain[-1], tuple(sorted({name for source in changed for name in serves[source]})))


def _belongs_to(run: RunRow, base: RunRow) -> bool:
    return base.run_id in {run.run_id, run.base_run_id}


def _contents(taken: TakenFiles) -> Mapping[str, frozenset[tuple[str, str]]]:
    """What each source has: readers and contents; nothing for one that cannot be used."""
    names = {each.source.name for each in taken.inputs}
    found = {
        name: frozenset((each.reader, each.file.sha256) for each in taken.inputs if each.source.name == name)
        for name in names
    }
    return found | {each.source.name: frozenset() for each in taken.absent if each.is_refused}


def _taken_before(rows: Sequence[InputRow]) -> dict[str, frozenset[tuple[str, str]]]:
    found = [row for row in rows if row.sha256 or row.state is InputState.REFUSED]
    names = {row.source for row in found}
    return {
        name: frozenset((row.reader, row.sha256) for row in found if row.source == name and row.sha256)
        for name in names
    }
