"""What stands in the section Trades of Interactive Brokers' Flex statements, element by element, in the order of the file.

A file is refused that is not whole or not that: broken XML, a DOCTYPE (so that no entity is ever expanded), an answer or an
error in place of the statement, another number of statements than ``FlexStatements`` counts, no section Trades.
"""

from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from schemas.errors import InputRefused

_BLOCK: Final = 1 << 20
_ROOT: Final = "FlexQueryResponse"
_ANSWER: Final = "FlexStatementResponse"
_STATEMENT: Final = "FlexStatement"
_SECTION: Final = "Trades"


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a section Trades: its place among all of them, its statement's place and account, and its attributes."""

    number: int
    tag: str
    statement: int
    account: str | None
    attributes: dict[str, str]

    @property
    def raw(self) -> str:
        """The element, written again."""
        return f"<{self.tag} {' '.join(f'{name}={quoteattr(text)}' for name, text in self.attributes.items())} />"

    def get(self, name: str) -> str | None:
        """An attribute's value; null where the statement has none."""
        text = self.attributes.get(name, "").strip()
        return None if text in {"", "-", "--", "N/A"} else text


def trade_elements(name: str, data: bytes) -> list[Element]:
    """The elements. ``name``: of the file, for messages; ``data``: its bytes.

    Raises
    ------
    InputRefused
        The file is no Flex statement with trades, or not the whole of one.
    """
    file = _TradeFile(name)
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = file.doctype
    parser.StartElementHandler = file.start
    parser.EndElementHandler = file.end
    parser.CharacterDataHandler = file.text
    try:
        for place in range(0, len(data), _BLOCK):
            parser.Parse(data[place : place + _BLOCK], False)  # noqa: FBT003 - expat takes no names
        parser.Parse(b"", True)  # noqa: FBT003 - as above
    except (expat.ExpatError, LookupError, ValueError) as error:  # the last two: an encoding it does not know
        raise InputRefused(
            f"{name} cannot be read as XML ({error}); needed a whole Flex statement\n\n"
            "Hint: deliver the file again; it may have been cut short."
        ) from error
    file.refuse_unlike()
    return file.elements


@dataclass(slots=True)
class _TradeFile:
    """What is known of the file so far: handlers of the parser, and what they gathered."""

    name: str
    elements: list[Element] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    """Tags that are open."""
    sections: set[str] = field(default_factory=set)
    statements: int = 0
    account: str | None = None
    root: str | None = None
    count: str | None = None
    answer: dict[str, str] = field(default_factory=dict)

    def doctype(self, *_: object) -> None:
        raise InputRefused(
            f"{self.name} has a DOCTYPE; needed a Flex statement, which has none\n\n"
            "Hint: a web page may have been saved in its place."
        )

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self.root is None:
            self._open(tag)
        if tag == _STATEMENT:
            self.statements += 1
            self.account = attributes.get("accountId")
        elif tag == "FlexStatements":
            self.count = attributes.get("count", "")
        elif self.path and self.path[-1] == _STATEMENT:
            self.sections.add(tag)
        elif self.path and self.path[-1] == _SECTION:
            self.elements.append(Element(len(self.elements) + 1, tag, self.statements, self.account, attributes))
        self.path.append(tag)

    def end(self, _tag: str) -> None:
        self.path.pop()

    def text(self, text: str) -> None:
        if self.root == _ANSWER:
            tag = self.path[-1]
            self.answer[tag] = self.answer.get(tag, "") + text.strip()

    def refuse_unlike(self) -> None:
        """Raise ``InputRefused`` for a file that is whole, and no statement of trades."""
        if self.root == _ANSWER:
            raise InputRefused(self._refusal())
        if self.count is None or self.count != str(self.statements):
            said = "does not say how many" if not self.count else f"says {self.count[:20]}"
            raise InputRefused(
                f"{self.name} has {self.statements} statements and {said}; needed as many as FlexStatements counts\n\n"
                "Hint: deliver the file again; it may have been cut or joined."
            )
        if _SECTION not in self.sections:
            found = ", ".join(sorted(self.sections)[:5]) or "none"
            raise InputRefused(
                f"{self.name} has no section Trades (sections found: {found}); needed it in an activity statement\n\n"
                "Hint: add the section Trades to the query; statements of trade confirmations are not read."
            )

    def _open(self, tag: str) -> None:
        if tag not in {_ROOT, _ANSWER}:
            raise InputRefused(
                f"{self.name} begins with <{tag[:40]}>; needed a Flex statement, which begins with <{_ROOT}>\n\n"
                "Hint: set the query's format to XML."
            )
        self.root = tag

    def _refusal(self) -> str:
        status = self.answer.get("Status", "") or "nothing"
        if status == "Success":
            return (
                f"{self.name} is the answer to a request for a statement; needed the statement itself\n\n"
                "Hint: ask Interactive Brokers for it with the reference code of this answer."
            )
        code = f" (code {self.answer['ErrorCode'][:20]})" if self.answer.get("ErrorCode") else ""
        return (
            f"{self.name} is no statement; Interactive Brokers answered {status[:40]}{code}: "
            f"{self.answer.get('ErrorMessage', '')[:200]}; needed a Flex statement\n\nHint: run the query again."
        )
