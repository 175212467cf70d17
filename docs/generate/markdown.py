"""Markdown of the generated pages."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

HEAD: Final = "<!-- Made from the code by `python -m docs.generate`: change the code, then run `make docs`. -->\n\n"


def page(title: str, *parts: str) -> str:
    """A page: its title and its parts, a blank line between them."""
    return HEAD + "\n\n".join([f"# {title}", *(part.strip() for part in parts if part.strip())]) + "\n"


def section(title: str, *parts: str, level: int = 2) -> str:
    """A part of a page under a heading of its own."""
    return "\n\n".join([f"{'#' * level} {title}", *(part.strip() for part in parts if part.strip())])


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars and line ends within cells are written so that they stay there."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def code(text: str) -> str:
    """Text as it is typed; empty stays empty."""
    return f"`{text}`" if text else ""


def prose(text: str | None) -> str:
    """A docstring as Markdown: what is typed between single backticks, paragraphs without their indent."""
    lines = [line.strip() for line in (text or "").strip().splitlines()]
    return re.sub(r"``([^`]+)``", r"`\1`", "\n".join(lines))


def sentence(text: str) -> str:
    """A remark with a capital and a full stop; code at its start stays as it is, and so does what ends in a bracket."""
    text = re.sub(r"\s+", " ", prose(text))
    return f"{text[:1].upper()}{text[1:]}" + ("" if text[-1:] in {"", ".", "]"} else ".")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
