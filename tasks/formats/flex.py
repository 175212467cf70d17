"""Read Interactive Brokers' Flex statements (XML), streaming: memory is bounded by the largest account.

1. Elements of the kinds that the mapping names are taken with the attributes it reads; a missing ``accountId`` is that of
   the ``FlexStatement``. ``tasks.formats.flex_cells`` says how attributes are written and which fields are added to them.
2. A file is refused that is not whole: broken XML, another number of statements than ``FlexStatements`` counts, two
   statements of one account, an attribute that the query leaves out, holdings without lots, trades without executions.
3. A DOCTYPE is refused, so that no entity is ever expanded.

``Records.numbers`` is the place of an element among those taken from the file.
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.parsers import expat

import polars as pl
from ibflex import Types

from schemas.errors import InputRefused, WrongUsage
from tasks.formats.flex_cells import ADDED, OPTIONAL, is_day, plain_cells, with_added
from tasks.formats.mapping import InputFormat
from tasks.formats.records import Records, open_bytes

BATCH_ELEMENTS: Final = 100_000
_BLOCK: Final = 1 << 20
_STATEMENT: Final = "FlexStatement"
_ANSWER: Final = "FlexStatementResponse"
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
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = file.doctype
    parser.StartElementHandler = file.start
    parser.EndElementHandler = file.end
    parser.CharacterDataHandler = file.text
    try:
        with open_bytes(path) as stream:
            while block := stream.read(_BLOCK):
                parser.Parse(block, False)  # noqa: FBT003 - expat takes no names
                yield from file.take()
        if file.root is None and path.stat().st_size == 0:
            raise InputRefused(f"{path.name} is empty (0 bytes); needed a Flex statement")
        parser.Parse(b"", True)  # noqa: FBT003 - as above
    except (OSError, expat.ExpatError, LookupError, ValueError) as error:  # the last two: an encoding it does not know
        raise InputRefused(
            f"{path.name} cannot be read as XML ({error}); needed a whole Flex statement\n\n"
            "Hint: deliver the file again; it may have been cut short."
        ) from error
    yield from file.rest()


def _fields_to_read(fmt: InputFormat) -> dict[str, frozenset[str]]:
    """Fields that the mapping reads of each kind of element."""
    fields: dict[str, set[str]] = {_STATEMENT: {"toDate"}}
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


@dataclass(slots=True)
class _StatementFile:
    """What is known of the file so far: handlers of the parser, and what they gathered."""

    name: str
    wanted: dict[str, frozenset[str]]
    kinds: dict[str, _Kind] = field(init=False)
    accounts: set[str] = field(default_factory=set)
    listed: set[str] = field(default_factory=set)
    """Levels of detail met: of positions and of trades."""
    ready: list[Records] = field(default_factory=list)
    account: str | None = None
    root: str | None = None
    count: str | None = None
    answer: dict[str, str] = field(default_factory=dict)
    tag: str = ""
    taken: int = 0
    waiting: int = 0

    def __post_init__(self) -> None:
        self.kinds = {name: _Kind(name, wanted) for name, wanted in self.wanted.items()}

    def doctype(self, *_: object) -> None:
        raise InputRefused(
            f"{self.name} has a DOCTYPE; needed a Flex statement, which has none\n\n"
            "Hint: a web page may have been saved in its place."
        )

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self.root is None:
            self._open(tag)
        self.tag = tag
        if tag == _STATEMENT:
            self._open_statement(attributes)
        elif tag == "FlexStatements":
            self.count = attributes.get("count", "")
        elif tag in _LISTED:
            self.listed.add(tag)
        kind = self.kinds.get(tag)
        if kind is not None:
            self._add(kind, attributes)

    def end(self, tag: str) -> None:
        if tag == _STATEMENT:
            self.account = None
            if self.waiting >= BATCH_ELEMENTS:
                self._flush()

    def text(self, text: str) -> None:
        if self.root == _ANSWER:
            self.answer[self.tag] = self.answer.get(self.tag, "") + text.strip()

    def take(self) -> list[Records]:
        ready, self.ready = self.ready, []
        return ready

    def rest(self) -> list[Records]:
        """What is left at the end of the file, which must be whole."""
        if self.root == _ANSWER:
            raise InputRefused(self._refusal())
        self._flush()
        self._refuse_other_count()
        self._refuse_without_detail()
        return self.take()

    def _open(self, tag: str) -> None:
        if tag not in {"FlexQueryResponse", _ANSWER}:
            raise InputRefused(
                f"{self.name} begins with <{tag[:40]}>; needed a Flex statement, which begins with <FlexQueryResponse>\n\n"
                "Hint: set the query's format to XML."
            )
        self.root = tag

    def _open_statement(self, attributes: dict[str, str]) -> None:
        account = attributes.get("accountId", "")
        place = len(self.accounts) + 1
        if account in {"", "-"}:
            raise InputRefused(
                f"{self.name}: FlexStatement {place} names no account; needed accountId\n\n"
                "Hint: run the query for accounts one by one, not consolidated."
            )
        if account in self.accounts:
            raise InputRefused(f"{self.name}: FlexStatement {place} is of an account that came before; needed one each")
        if not is_day(attributes.get("toDate", "")):
            raise InputRefused(
                f"{self.name}: FlexStatement {place} ends on {attributes.get('toDate') or 'no day'}; needed toDate as a day\n\n"
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

    def _refuse_other_count(self) -> None:
        found = len(self.accounts)
        if self.count is None or self.count != str(found):
            said = "does not say how many" if not self.count else f"says {self.count}"
            raise InputRefused(
                f"{self.name} has {found} statements and {said}; needed as many as FlexStatements counts\n\n"
                "Hint: deliver the file again; it may have been cut or joined."
            )
        if not found:
            raise InputRefused(f"{self.name} has no statement; needed one for each account")

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

    def _refusal(self) -> str:
        status, message = self.answer.get("Status", ""), self.answer.get("ErrorMessage", "")
        if status == "Success":
            return (
                f"{self.name} is the answer to a request for a statement; needed the statement itself\n\n"
                "Hint: ask Interactive Brokers for it with the reference code of this answer."
            )
        code = f" (code {self.answer['ErrorCode']})" if self.answer.get("ErrorCode") else ""
        return (
            f"{self.name} is no statement; Interactive Brokers answered {status or 'nothing'}{code}: {message[:200]}; "
            "needed a Flex statement\n\nHint: run the query again."
        )
