"""Take a night's files and set aside those that cannot be used.

1. Every source is asked for its files (``tasks.pull.inputs``).
2. A file whose own number is not above that of an earlier day is an old file again.
3. A file of a source that serves custodians is read to its end: where it breaks off, the source's accounts wait.

A source that every account needs refuses the night instead.
"""

from collections.abc import Sequence
from functools import partial

from schemas.errors import InputRefused
from schemas.sources import DatedSource
from tasks.pull.inputs import Input, TakenFiles, take
from tasks.pull.reading import raw_tables
from tasks.runtime import Stores, give_notice
from warehouse.ledger import Inputs


def usable_files(sources: Sequence[DatedSource], at: Stores) -> TakenFiles:
    """The files that a night is made of; a notice for each source that cannot be used.

    Raises
    ------
    InputRefused, SourceUnreachable
        As ``take``; or a file that every account needs is an old one again.
    """
    taken = take(sources, at.settings.staging_folder)
    for find_fault in (partial(_repetition, at.ledger.inputs), _defect):
        for each in taken.inputs:
            if each in taken.inputs and (fault := find_fault(each)):
                taken = taken.without(each.source, fault)
    for absent in taken.absent:
        give_notice(f"{absent.source.name}: {absent.note}")
    return taken


def _repetition(inputs: Inputs, each: Input) -> str | None:
    """What says that the file is an earlier day's again.

    Raises
    ------
    InputRefused
        It is, and every account needs its source.
    """
    source = each.source
    last = None if each.sequence is None else inputs.last_sequence(source.name, each.reader, source.day)
    if last is None or each.sequence is None or each.sequence > last[1]:
        return None
    note = f"{each.file.name} has the number {each.sequence}, the file of {last[0]} had {last[1]}; needed a higher one"
    if not source.custodians:
        raise InputRefused(f"{note}\n\nHint: an earlier night's file again?")
    return note


def _defect(each: Input) -> str | None:
    """Why a file of custodians cannot be read to its end."""
    if not each.source.custodians:
        return None
    try:
        for _ in raw_tables(each, each.tables):
            pass
    except InputRefused as error:
        return str(error).partition("\n")[0]
    return None
