"""Pages of what comes out: the public tables, the words in them, events, exit codes."""

import inspect
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import polars as pl

from console.shared.break_words import MEANINGS as BREAKS
from docs.generate.inputs import type_word
from docs.generate.markdown import code, page, prose, section, sentence, table
from docs.generate.notes import key_notes, note_of
from schemas import enums, errors, events, lab_tables, tables
from schemas.errors import ExitCode
from schemas.events import EventName
from schemas.units import unit_of
from tasks.core.explain.sentences import LOOKS, OUTCOMES, REASONS, REGIMES, STANDINGS, STATES, TRIGGERS
from warehouse.lake.public_query import LEDGER_VIEWS
from warehouse.ledger.store.tables import metadata

SHOWN: Final[Sequence[Mapping[Any, str]]] = [OUTCOMES, REASONS, TRIGGERS, LOOKS, REGIMES, STATES, BREAKS]
"""Words that people are shown, each with the sentence that they read."""


def tables_page() -> str:
    """The public tables, a section each, then those of the ledger."""
    notes, of_studies = key_notes(tables), key_notes(lab_tables)
    return page(
        "Public tables",
        "What `trimtab query` reads. A table of the lake holds every run, and `latest.<table>` the newest run that has rows in it; each row "
        "carries `run_id` and `as_of_date`. A list in a cell is text joined by a bar. Sums of money are exact decimals.",
        *(_table_section(name, columns, "PUBLIC", notes) for name, columns in tables.PUBLIC.items()),
        section(
            "Of the policy lab",
            "What studies found, every study in the same tables; there is no `latest` of them. Nothing in them happened: "
            "`is_hypothetical` is true in every row. `run_id` is the study, `as_of_date` the last date of its market's data.",
        ),
        *(_table_section(name, columns, "LAB", of_studies) for name, columns in lab_tables.LAB.items()),
        section(
            "Of the ledger",
            "What people and machines decided.",
            table(["table", "columns"], [[code(name), _ledger_columns(name)] for name in sorted(LEDGER_VIEWS)]),
        ),
    )


def _table_section(
    name: str, columns: Mapping[str, pl.DataType], group: str, notes: Mapping[tuple[str, ...], str]
) -> str:
    rows = [
        [code(column), type_word(dtype), unit_of(column, dtype), notes[group, name, column]]
        for column, dtype in columns.items()
    ]
    return section(code(name), f"A row: {notes[group, name]}.", table(["column", "type", "unit", "what"], rows))


def _ledger_columns(name: str) -> str:
    return ", ".join(code(column.name) for column in metadata.tables[LEDGER_VIEWS[name][0]].columns)


def words_page() -> str:
    """Every closed list of words."""
    lists = [each for each in vars(enums).values() if inspect.isclass(each) and issubclass(each, StrEnum)]
    return page(
        "Words in tables and policy",
        "The closed lists of words that columns hold. A list within a cell is joined by a bar.",
        *(_words_section(each) for each in lists if each is not StrEnum),
        section(
            "Further reasons of an outcome",
            table(["word", "meaning"], [[code(word), said] for word, said in STANDINGS.items()]),
        ),
    )


def _words_section(words: type[StrEnum]) -> str:
    shown = next((each for each in SHOWN if isinstance(next(iter(each)), words)), {})
    rows = [[code(word.value), sentence(shown.get(word, "") or note_of(words, word.name))] for word in words]
    has_notes = any(said for _, said in rows)
    listed = ", ".join(word for word, _ in rows)
    return section(
        words.__name__, prose(inspect.getdoc(words)), table(["word", "meaning"], rows) if has_notes else listed
    )


def exit_codes_page() -> str:
    """Exit codes, and the errors that lead to each."""
    rows = [[str(int(each)), sentence(note_of(ExitCode, each.name)), _errors_of(each)] for each in ExitCode]
    return page(
        "Exit codes",
        "stdout carries the result, stderr the log and a sentence where something failed.",
        table(["code", "meaning", "errors"], rows),
    )


def _errors_of(exit_code: ExitCode) -> str:
    """Names of errors that end a command with the code; the two families apart."""
    found = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, errors.TrimtabError)]
    families = {errors.TrimtabError, errors.Retryable, errors.Terminal}
    return ", ".join(code(each.__name__) for each in found if each.exit_code == exit_code and each not in families)


def events_page() -> str:
    """Events that tasks emit."""
    rows = [[code(each), sentence(note_of(EventName, each.name))] for each in EventName]
    return page("Events", f"{prose(events.__doc__)} {prose(EventName.__doc__)}", table(["event", "when"], rows))
