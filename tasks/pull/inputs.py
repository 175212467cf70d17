"""Take a night's files from every source, and say which landing tables each of them delivers.

1. A source of landing tables delivers a file a table, named after it; one with a format delivers the files its pattern names.
   The tables that it is said to deliver are all needed from it, optional ones too.
2. A source that serves custodians may be late or broken: its accounts wait, and the night goes on without them. Any other
   source that cannot be used refuses the night.
3. Together the sources deliver every required table, except what a late source would have delivered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from schemas.errors import InputRefused, SourceUnreachable
from schemas.landing import OPTIONAL_TABLES
from schemas.landing_columns import LANDING, dtypes
from schemas.sources import DatedSource, fill_date
from tasks.formats import ENDINGS, PACKED, InputFormat, file_names, load_format, refuse_near, sequence_of
from tasks.sources import FetchedFile, fetch_files


@dataclass(frozen=True, slots=True)
class Input:
    """A file of a night and the landing tables read from it; ``format`` null: it is the landing table itself."""

    source: DatedSource
    file: FetchedFile
    tables: tuple[str, ...]
    format: InputFormat | None = None
    sequence: int | None = None
    """The number that the file itself says it has."""

    @property
    def reader(self) -> str:
        """What reads it: the digest of the format, or nothing for a landing table."""
        return "" if self.format is None else self.format.digest


@dataclass(frozen=True, slots=True)
class Absent:
    """A source of some custodians that could not be used. ``is_refused``: it came and is broken; else it has not come."""

    source: DatedSource
    is_refused: bool
    note: str


@dataclass(frozen=True, slots=True)
class TakenFiles:
    """What was taken from the sources, in the order in which it is laid end to end, and what is waited for."""

    sources: tuple[DatedSource, ...]
    inputs: tuple[Input, ...]
    absent: tuple[Absent, ...]

    def without(self, source: DatedSource, note: str) -> "TakenFiles":
        """The same, where a source turned out to be unusable."""
        inputs = tuple(each for each in self.inputs if each.source != source)
        return replace(self, inputs=inputs, absent=(*self.absent, Absent(source, is_refused=True, note=note)))

    @property
    def waiting(self) -> dict[str, Absent]:
        """Each custodian whose accounts wait, and the source they wait for."""
        return {custodian: each for each in self.absent for custodian in each.source.custodians}

    def of(self, table: str) -> tuple[Input, ...]:
        """Files that deliver the table."""
        return tuple(each for each in self.inputs if table in each.tables)


def take(sources: Sequence[DatedSource], staging: Path) -> TakenFiles:
    """Fetch what the sources have, each for its own day.

    Parameters
    ----------
    sources
        All of one night, but for prices of a later day.
    staging
        Private folder for files that are fetched; each source and day has its own in it.

    Raises
    ------
    InputRefused
        A source that every account needs cannot be used, or a required table is delivered by none.
    SourceUnreachable
        Such a source does not answer.
    """
    inputs: list[Input] = []
    absent: list[Absent] = []
    for source in sources:
        try:
            inputs += _inputs_of(source, staging / source.name / source.day.isoformat())
        except (InputRefused, SourceUnreachable) as error:
            if not source.custodians:
                raise
            absent.append(
                Absent(source, isinstance(error, InputRefused) and not isinstance(error, NotCome), _first_line(error))
            )
    taken = TakenFiles(tuple(sources), tuple(inputs), tuple(absent))
    _require_tables(taken)
    return taken


class NotCome(InputRefused):
    """A source has not delivered yet."""


def _inputs_of(source: DatedSource, staging: Path) -> list[Input]:
    return _take_formatted(source, staging) if source.format else _landing_tables(source, staging)


def _take_formatted(source: DatedSource, staging: Path) -> list[Input]:
    read_by = load_format(source.format)
    pattern = source.files or fill_date(read_by.files, source.day)
    tables = tuple(table for table in LANDING if table in read_by.tables and table in (source.tables or LANDING))
    files = fetch_files(source, is_wanted=lambda name: _fits(name, pattern), staging=staging)
    if not files:
        raise NotCome(f"{source.url} has no file {pattern}; needed those of {read_by.name}\n\n{_late_hint(source)}")
    return [Input(source, file, tables, read_by, sequence_of(read_by, file)) for file in files]


def _fits(name: str, pattern: str) -> bool:
    return any(fnmatchcase(name, f"{pattern}{ending}") for ending in ("", *PACKED))


def _landing_tables(source: DatedSource, staging: Path) -> list[Input]:
    wanted = source.tables or tuple(LANDING)
    names = {f"{table}{ending}": table for table in wanted for ending in ENDINGS}
    seen: set[str] = set()

    def is_wanted(name: str) -> bool:
        seen.add(name)
        return name in names

    found: dict[str, FetchedFile] = {}
    for file in fetch_files(source, is_wanted=is_wanted, staging=staging):
        table = names[file.path.name]
        if table in found:
            both = f"{found[table].name} and {file.name}"
            raise InputRefused(f"{both} both deliver the table {table}; needed one file\n\nHint: remove all but one.")
        found[table] = file
    for table in wanted:
        if table not in found:
            refuse_near(source.url, table, seen - names.keys())
    needed = [table for table in source.tables if table not in found]
    if needed:
        raise NotCome(f"{source.url} has no {file_names(needed[0])}\n\n{_late_hint(source)}")
    return [Input(source, found[table], (table,)) for table in LANDING if table in found]


def _require_tables(taken: TakenFiles) -> None:
    sources = taken.sources
    late = {table for each in taken.absent for table in each.source.tables or LANDING}
    for table in LANDING:
        if table in OPTIONAL_TABLES or taken.of(table) or table in late:
            continue
        where = " and ".join(source.url for source in sources)
        if not taken.inputs and len(sources) == 1 and sources[0].scheme == "file" and not Path(where).is_dir():
            raise InputRefused(
                f"{where} is not a folder; needed the landing folder with one CSV or Parquet file a table\n\n"
                "Hint: pass --source, or set TRIMTAB_SOURCE_URL."
            )
        raise InputRefused(f"{where} has no {file_names(table)}\n\nHint: its columns are {', '.join(dtypes(table))}.")


def _late_hint(source: DatedSource) -> str:
    who = ", ".join(source.custodians)
    return (
        f"Hint: accounts of {who} wait; run the night again when it has come."
        if who
        else "Hint: deliver it, and run again."
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
