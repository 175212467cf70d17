"""Name a run after what is in its files, so that the same night on the same inputs is the same run."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from importlib.metadata import version
from itertools import chain

from tasks.pull.inputs import TakenFiles
from tasks.pull.late_files import LateFiles
from tasks.pull.request import Request
from tasks.runtime import Stores
from warehouse.ledger import NewRun


def name_run(request: Request, taken: TakenFiles, late: LateFiles | None, at: Stores) -> NewRun:
    """The run of the files, as the ledger is to start it."""
    released = at.ledger.readmissions.released_rows(request.as_of_date)["quarantine_id"]
    changed = at.ledger.model_changes.changes_in_force()["change_id"]
    more = chain((f"released {row}" for row in released), (f"model change {one}" for one in changed))
    inputs = digest(taken, chain(more, days_apart(taken, request.as_of_date)))
    return NewRun(
        run_id=_run_id(request, inputs, late, at),
        as_of_date=request.as_of_date,
        kind=request.kind,
        submitter=request.submitter,
        input_hash=inputs,
        code_version=version("trimtab"),
        source=", ".join(source.url for source in request.sources),
        scope=json.dumps(request.scope) if request.scope else None,
        base_run_id=late.base.run_id if late else None,
        is_simulation=at.settings.is_simulation,
    )


def digest(taken: TakenFiles, more: Iterable[str] = ()) -> str:
    """SHA-256 over what was taken: contents and what reads them, not where they came from; the order does not matter.

    ``more``: what else decides the night, a line each.
    """
    lines = [f"{'|'.join(each.tables)} {each.reader} {each.file.sha256}" for each in taken.inputs]
    lines += [f"waiting {custodian} {each.is_refused}" for custodian, each in taken.waiting.items()]
    return hashlib.sha256("\n".join(sorted([*lines, *more])).encode()).hexdigest()


def days_apart(taken: TakenFiles, as_of: date) -> Iterator[str]:
    """A line for each file that a format reads and whose day is not the run's: what the format makes of it may depend on it."""
    for each in taken.inputs:
        if each.format is not None and each.source.day != as_of:
            yield f"of {each.source.day} {each.file.sha256}"


def _run_id(request: Request, inputs: str, late: LateFiles | None, at: Stores) -> str:
    """The run's name. One that another of the night has replaced does not come back: where its inputs do, they are run anew."""
    if late is not None:
        return _name(request, inputs, (f"after {late.newest.run_id}", *late.custodians))
    name = _name(request, inputs)
    newest = at.ledger.runs.full_run_of(request.as_of_date) if request.is_full else None
    found = at.ledger.runs.get_run(name)
    if newest is None or found is None or found.started_at >= newest.started_at:
        return name
    return _name(request, inputs, (f"after {newest.run_id}",))


def _name(request: Request, inputs: str, more: Sequence[str] = ()) -> str:
    """``<as_of>-<kind>-<12 hex>``: the same night on the same inputs has the same name. Policy is part of the inputs."""
    parts = [request.as_of_date.isoformat(), request.kind, inputs, *sorted(request.scope), *more]
    digits = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    return f"{request.as_of_date.isoformat()}-{request.kind}-{digits}"
