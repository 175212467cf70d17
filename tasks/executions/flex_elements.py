"""What stands in the section Trades of Interactive Brokers' Flex statements, element by element, in the order of the file.

A file without that section is refused, and what ``tasks.formats.flex_file`` refuses.
"""

from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import quoteattr

from schemas.errors import InputRefused
from tasks.formats import FLEX_BLOCK, FLEX_STATEMENT, FlexFile

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
    for _ in file.parse(data[place : place + FLEX_BLOCK] for place in range(0, len(data), FLEX_BLOCK)):
        pass
    file.refuse_without_trades()
    return file.elements


class _TradeFile(FlexFile):
    """Gathers the elements of the sections Trades."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.elements: list[Element] = []
        self.sections: set[str] = set()
        self.account: str | None = None

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        within = self.path[-1] if self.path else ""
        if tag == FLEX_STATEMENT:
            self.account = attributes.get("accountId")
        elif within == FLEX_STATEMENT:
            self.sections.add(tag)
        elif within == _SECTION:
            self.elements.append(Element(len(self.elements) + 1, tag, self.statements, self.account, attributes))

    def refuse_without_trades(self) -> None:
        """Raise ``InputRefused`` for a whole statement of other sections."""
        if _SECTION not in self.sections:
            found = ", ".join(sorted(self.sections)[:5]) or "none"
            raise InputRefused(
                f"{self.name} has no section Trades (sections found: {found}); needed it in an activity statement\n\n"
                "Hint: add the section Trades to the query; statements of trade confirmations are not read."
            )
