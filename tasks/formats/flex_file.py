"""Read the XML of Interactive Brokers' Flex statements as a stream: what is the same whatever is looked for in them.

A file is refused that is not whole, or no statement: broken XML, a DOCTYPE (so that no entity is ever expanded), an answer or an
error in place of the statement, another number of statements than ``FlexStatements`` counts.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Final
from xml.parsers import expat

from schemas.errors import InputRefused

FLEX_BLOCK: Final = 1 << 20
"""Bytes that a reader hands over at once."""
FLEX_STATEMENT: Final = "FlexStatement"
_ROOT: Final = "FlexQueryResponse"
_ANSWER: Final = "FlexStatementResponse"


class FlexFile(ABC):
    """What is known of a file so far; who looks for something derives from it and says what happens at each element."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path: list[str] = []
        """Tags that are open."""
        self.statements = 0
        self._is_answer = False
        self._count: str | None = None
        self._answer: dict[str, str] = {}

    @abstractmethod
    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins, in those of ``path``; called for each."""

    def end_statement(self) -> None:  # noqa: B027 - who counts no statements has nothing to do
        """A ``FlexStatement`` ends."""

    def parse(self, blocks: Iterable[bytes]) -> Iterator[None]:
        """Read the file; stops after each block, so that what was found can be taken.

        Raises
        ------
        InputRefused
            The file is no Flex statement, or not the whole of one.
        """
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        try:
            for block in blocks:
                parser.Parse(block, False)  # noqa: FBT003 - expat takes no names
                yield
            parser.Parse(b"", True)  # noqa: FBT003 - as above
        except (
            OSError,
            expat.ExpatError,
            LookupError,
            ValueError,
        ) as error:  # the last two: an encoding it does not know
            raise InputRefused(
                f"{self.name} cannot be read as XML ({error}); needed a whole Flex statement\n\n"
                "Hint: deliver the file again; it may have been cut short."
            ) from error
        self._refuse_unlike()

    def _doctype(self, *_: object) -> None:
        raise InputRefused(
            f"{self.name} has a DOCTYPE; needed a Flex statement, which has none\n\n"
            "Hint: a web page may have been saved in its place."
        )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self.path and tag not in {_ROOT, _ANSWER}:
            raise InputRefused(
                f"{self.name} begins with <{tag[:40]}>; needed a Flex statement, which begins with <{_ROOT}>\n\n"
                "Hint: set the query's format to XML."
            )
        self._is_answer |= tag == _ANSWER and not self.path
        if tag == FLEX_STATEMENT:
            self.statements += 1
        elif tag == "FlexStatements":
            self._count = attributes.get("count", "")
        self.begin(tag, attributes)
        self.path.append(tag)

    def _end(self, tag: str) -> None:
        self.path.pop()
        if tag == FLEX_STATEMENT:
            self.end_statement()

    def _text(self, text: str) -> None:
        if self._is_answer:
            tag = self.path[-1]
            self._answer[tag] = self._answer.get(tag, "") + text.strip()

    def _refuse_unlike(self) -> None:
        """Raise ``InputRefused`` for a file that is whole, and no statement."""
        if self._is_answer:
            raise InputRefused(self._refusal())
        if self._count is None or self._count != str(self.statements):
            said = "does not say how many" if not self._count else f"says {self._count[:20]}"
            raise InputRefused(
                f"{self.name} has {self.statements} statements and {said}; needed as many as FlexStatements counts\n\n"
                "Hint: deliver the file again; it may have been cut or joined."
            )

    def _refusal(self) -> str:
        status = self._answer.get("Status", "") or "nothing"
        if status == "Success":
            return (
                f"{self.name} is the answer to a request for a statement; needed the statement itself\n\n"
                "Hint: ask Interactive Brokers for it with the reference code of this answer."
            )
        code = f" (code {self._answer['ErrorCode'][:20]})" if self._answer.get("ErrorCode") else ""
        return (
            f"{self.name} is no statement; Interactive Brokers answered {status[:40]}{code}: "
            f"{self._answer.get('ErrorMessage', '')[:200]}; needed a Flex statement\n\nHint: run the query again."
        )
