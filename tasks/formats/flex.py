"""Read Interactive Brokers' Flex statements (XML), streaming: memory is bounded by the largest account.

1. Elements of the kinds that the mapping names are taken with the attributes it reads; a missing ``accountId`` is that of
   the ``FlexStatement``. ``tasks.formats.flex_cells`` says how attributes are written and which fields are added to them.
2. Beside what ``tasks.formats.flex_file`` refuses, a file is refused that has two statements of one account, lacks an attribute
   that the query leaves out, or has holdings without lots or trades without executions.

``Records.numbers`` is the place of an element among those taken from the file.
"""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl
from ibflex import Types

from schemas.errors import InputRefused, WrongUsage
from tasks.formats.flex_cells import ADDED, OPTIONAL, is_day, plain_cells, with_added
from tasks.formats.flex_file import FLEX_BLOCK, FLEX_STATEMENT, FlexFile
from tasks.formats.mapping import InputFormat
from tasks.formats.records import Records, open_bytes

BATCH_ELEMENTS: Final = 100_000
_LISTED: Final = frozenset({"Order", "SymbolSummary", "AssetSummary", "Lot"})
"""What a query's section of trades lists beside executions."""


def flex_records(fmt: InputFormat, path: Path) -> Iterator[Records]:
    """The elements of the kinds that the mapping reads, whole statements at a time.

    Raises
    ------
    InputRefused
        The file is no Flex statement, or not the whole of one.
    WrongUsage
        The mapping reads an element that Flex does not have.
    """
    file = _StatementFile(path.name, _fields_to_read(fmt))
    for _ in file.parse(_blocks(path)):
        yield from file.take()
    yield from file.rest()


def _blocks(path: Path) -> Iterator[bytes]:
    with open_bytes(path) as stream:
        while block := stream.read(FLEX_BLOCK):
            yield block
    if path.stat().st_size == 0:
        raise InputRefused(f"{path.name} is empty (0 bytes); needed a Flex statement")


def _fields_to_read(fmt: InputFormat) -> dict[str, frozenset[str]]:
    """Fields that the mapping reads of each kind of element."""
    fields: dict[str, set[str]] = {FLEX_STATEMENT: {"toDate"}}
    for table in fmt.mapping.tables:
        if table.records not in Types.__dict__:
            raise WrongUsage(
                f"the format {fmt.name} reads {table.records}; needed an element of a Flex statement, as OpenPosition"
            )
        used = {name for column in table.columns.values() for name in column.field_names}
        fields.setdefault(table.records, set()).update(used, (condition.field for condition in table.where))
    if fmt.mapping.as_of:
        fields.setdefault(fmt.mapping.as_of.record, set()).add(fmt.mapping.as_of.field)
    return {kind: frozenset(names) for kind, names in fields.items()}


class _Kind:
    """Elements of one kind waiting to be handed on: a list of cells for each attribute."""

    __slots__ = ("attributes", "name", "rows", "seen", "wanted")

    def __init__(self, name: str, wanted: frozenset[str]) -> None:
        added = ADDED.get(name, {})
        makings = {attribute for each in wanted & added.keys() for attribute in added[each]}
        self.name = name
        self.wanted = wanted
        self.attributes = tuple(sorted((wanted - added.keys()) | makings | {"accountId"}))
        self.seen: set[str] = {"accountId"}
        self.rows: list[tuple[str | int | None, ...]] = []

    def add(self, attributes: dict[str, str], number: int) -> None:
        self.seen |= attributes.keys()
        self.rows.append((*map(attributes.get, self.attributes), number))

    def take(self) -> Records:
        """What waits, as records."""
        names = [name for name in self.attributes if name in self.seen or name not in OPTIONAL]
        columns = dict(zip((*self.attributes, "(number)"), zip(*self.rows, strict=True), strict=True))
        self.rows = []
        cells = plain_cells(
            self.name, pl.DataFrame({name: columns[name] for name in names}, dict.fromkeys(names, pl.String))
        )
        numbers = pl.Series("numbers", columns["(number)"], dtype=pl.Int64)
        return Records(self.name, with_added(self.name, cells, self.wanted), numbers)

    def lacking(self) -> list[str]:
        """Attributes that no element so far has."""
        return [name for name in self.attributes if name not in self.seen | OPTIONAL]


class _StatementFile(FlexFile):
    """Gathers the elements that are wanted, by kind."""

    def __init__(self, name: str, wanted: dict[str, frozenset[str]]) -> None:
        super().__init__(name)
        self.kinds = {name: _Kind(name, fields) for name, fields in wanted.items()}
        self.accounts: set[str] = set()
        self.account: str | None = None
        self.listed: set[str] = set()
        """Levels of detail met: of positions and of trades."""
        self.ready: list[Records] = []
        self.taken = 0
        self.waiting = 0

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == FLEX_STATEMENT:
            self._open_statement(attributes)
        elif tag in _LISTED:
            self.listed.add(tag)
        kind = self.kinds.get(tag)
        if kind is not None:
            self._add(kind, attributes)

    def end_statement(self) -> None:
        self.account = None
        if self.waiting >= BATCH_ELEMENTS:
            self._flush()

    def take(self) -> list[Records]:
        ready, self.ready = self.ready, []
        return ready

    def rest(self) -> list[Records]:
        """What is left at the end of the file, which must be whole."""
        self._flush()
        if not self.statements:
            raise InputRefused(f"{self.name} has no statement; needed one for each account")
        self._refuse_without_detail()
        return self.take()

    def _open_statement(self, attributes: dict[str, str]) -> None:
        account = attributes.get("accountId", "")
        if account in {"", "-"}:
            raise InputRefused(
                f"{self.name}: FlexStatement {self.statements} names no account; needed accountId\n\n"
                "Hint: run the query for accounts one by one, not consolidated."
            )
        if account in self.accounts:
            raise InputRefused(
                f"{self.name}: FlexStatement {self.statements} is of an account that came before; needed one each"
            )
        if not is_day(attributes.get("toDate", "")):
            raise InputRefused(
                f"{self.name}: FlexStatement {self.statements} ends on {attributes.get('toDate') or 'no day'}; needed toDate as a day\n\n"
                "Hint: set the query's Date Format to yyyy-MM-dd or yyyyMMdd."
            )
        self.accounts.add(account)
        self.account = account

    def _add(self, kind: _Kind, attributes: dict[str, str]) -> None:
        self.taken += 1
        self.waiting += 1
        own = attributes.get("accountId", "")
        if self.account is None:
            raise InputRefused(
                f"{self.name}: {kind.name} {self.taken} stands outside a FlexStatement; needed it in one"
            )
        if own in {"", "-"}:
            attributes["accountId"] = self.account
        elif own != self.account:
            raise InputRefused(
                f"{self.name}: {kind.name} {self.taken} is of another account than its FlexStatement; needed the same\n\n"
                "Hint: run the query for accounts one by one, not consolidated."
            )
        if "levelOfDetail" in attributes:
            self.listed.add(f"{kind.name} {attributes['levelOfDetail'].upper()}")
        kind.add(attributes, self.taken)

    def _flush(self) -> None:
        for kind in self.kinds.values():
            if kind.rows:
                self._refuse_lacking(kind)
                self.ready.append(kind.take())
        self.waiting = 0

    def _refuse_lacking(self, kind: _Kind) -> None:
        lacking = kind.lacking()
        if lacking:
            close = difflib.get_close_matches(lacking[0], sorted(kind.seen), n=1)
            guess = f"; did you mean {close[0]}" if close else ""
            raise InputRefused(
                f"{self.name}: no {kind.name} has the attribute {', '.join(lacking)}; the mapping reads it\n\n"
                f"Hint: select the field in the query's section{guess}."
            )

    def _refuse_without_detail(self) -> None:
        if "OpenPosition SUMMARY" in self.listed and "OpenPosition LOT" not in self.listed:
            raise InputRefused(
                f"{self.name} has holdings as summaries only; needed their lots\n\n"
                "Hint: tick Lot among the options of the query's section Open Positions."
            )
        if "Trade" in self.kinds and self.listed & _LISTED and "Trade EXECUTION" not in self.listed:
            raise InputRefused(
                f"{self.name} has trades without their executions; needed executions\n\n"
                "Hint: tick Executions among the options of the query's section Trades."
            )
