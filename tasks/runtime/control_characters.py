"""Text as text: what a terminal, a log or a page would take for a command is shown by its name instead."""

import re
from typing import Final

COMMANDS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Control characters but tab and line feed, and those that turn the direction of writing."""


def plain_text(text: str) -> str:
    r"""The text with each such character as Python writes it, such as ``\x1b`` for Escape."""
    return COMMANDS.sub(lambda found: ascii(found[0])[1:-1], text)
