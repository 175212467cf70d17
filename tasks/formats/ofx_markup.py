"""The tree of an OFX file, SGML (1.x) or XML (2.x), all of it or none.

``ofxtools`` reads header and tags; it passes over what it does not know and takes a file cut short for a whole one. Here every
character belongs to a tag or a value, every tag is closed where it was opened, and there is one ``<OFX>``. Nothing is
expanded: there are no entities but those of single characters. Tags may have spaces before their end, and an empty one may be closed in itself;
comments say nothing.
"""

import html
import io
import logging
import re
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from ofxtools.header import OFXHeaderError, parse_header
from ofxtools.Parser import ParseError, TreeBuilder

from schemas.errors import InputRefused
from tasks.formats.records import open_bytes

logging.getLogger("ofxtools").setLevel(logging.WARNING)  # below, it logs what stands in the file

_DEEPEST: Final = 40
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_TAG: Final = re.compile(r"<(/?)([A-Z0-9._]+)\s*(/?)>")
_BOM: Final = b"\xef\xbb\xbf"
_DECLARED: Final = re.compile(rb"""^\s*<\?xml[^>]*encoding=["']([A-Za-z0-9._-]+)["']""")


def ofx_tree(path: Path) -> Element:
    """The element ``OFX`` of a file.

    Raises
    ------
    InputRefused
        The file is empty, is no OFX, or was cut short.
    """
    try:
        with open_bytes(path) as stream:
            content = stream.read().removeprefix(_BOM)
        if not content:
            raise InputRefused(f"{path.name} is empty (0 bytes); needed an OFX statement")
        return _tree(_body(content))
    except (OSError, LookupError, UnicodeError, SyntaxError, ValueError) as error:
        raise InputRefused(
            f"{path.name} cannot be read as OFX ({_words(error)}); needed a whole OFX statement\n\n"
            "Hint: deliver the file again; it may have been cut short, or be a web page saved in its place."
        ) from error


def text_of(element: Element) -> str:
    """Its text without the spaces around it."""
    return html.unescape(element.text or "").strip()


def _body(content: bytes) -> str:
    """What follows the header, decoded as the file says."""
    declared = _DECLARED.match(content)
    if declared:
        content = content.decode(declared[1].decode()).encode()
    _, body = parse_header(io.BytesIO(content))
    return body


def _tree(body: str) -> Element:
    body = _TAG.sub(_plain_tag, _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), body))
    _refuse_loose_text(body)
    builder = _Builder()
    builder.feed(body)
    root: Element = builder.close()
    if root.tag != "OFX":
        raise ParseError("it does not begin with <OFX>")
    return root


def _plain_tag(found: re.Match[str]) -> str:
    """A tag as the library knows it; one that closes itself as two."""
    tag = f"<{found[1]}{found[2]}>"
    return f"{tag}</{found[2]}>" if found[3] and not found[1] else tag


def _refuse_loose_text(body: str) -> None:
    """Text that belongs to no tag, which the library would drop or quote in full."""
    end = 0
    for found in TreeBuilder.regex.finditer(body):
        inside = (found["tail"] or "") + (found["text"] or "" if found["tag"].startswith("/") else "")
        if inside.strip() or body[end : found.start()].strip():
            raise ParseError(f"line {body.count(chr(10), 0, found.start()) + 1} of its body has text outside of a tag")
        end = found.end()
    if body[end:].strip():
        raise ParseError("it ends within a tag")


class _Builder(TreeBuilder):
    """A builder that holds tags to their nesting."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        self.open.append(tag)
        if len(self.open) > _DEEPEST:
            raise ParseError(f"<{tag}> stands too deep: a tag is not closed")
        return super().start(tag, attrs)

    def end(self, tag: str) -> Element:
        opened = self.open.pop() if self.open else None
        if opened != tag:
            raise ParseError(f"</{tag}> closes {f'<{opened}>' if opened else 'nothing'}")
        return super().end(tag)

    def close(self) -> Element:
        if self.open:
            raise ParseError(f"<{self.open[-1]}> is not closed")
        root: Element | None = super().close()
        if root is None:
            raise ParseError("it has no tags")
        return root


def _words(error: Exception) -> str:
    """What is wrong, without what stands in the file."""
    if isinstance(error, OFXHeaderError):
        return "it does not begin with the header of an OFX file"
    if isinstance(error, UnicodeError):
        return "its text is not in the encoding that it names"
    return str(error).partition("\n")[0][:120]
