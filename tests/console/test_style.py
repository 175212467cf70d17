"""Text can be read in both themes: the contrast that WCAG 2.1 asks for, of the pairs that the pages use."""

import re
from pathlib import Path
from typing import Final

import pytest

CSS: Final = (Path(__file__).parents[2] / "console" / "static" / "console.css").read_text(encoding="utf-8")
TEXT: Final = 4.5
PAIRS: Final = [
    ("ink", "paper"),
    ("ink", "card"),
    ("quiet", "paper"),
    ("quiet", "card"),
    ("accent", "card"),
    ("accent", "paper"),
    ("mark", "mark-back"),
    ("ink", "chip-back"),
    ("bad", "bad-back"),
    ("good", "chip-back"),
    ("ink", "cursor"),
    ("ink", "fresh"),
    ("accent", "cursor"),
]


def colors(selector: str) -> dict[str, str]:
    block = re.search(re.escape(selector) + r" \{(.*?)\}", CSS, re.DOTALL)
    assert block is not None
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block[1]))


def luminance(color: str) -> float:
    """WCAG 2.1, relative luminance."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("pair", PAIRS, ids=" on ".join)
@pytest.mark.parametrize("theme", [":root", ".body--dark"])
def test_text_stands_out(theme: str, pair: tuple[str, str]) -> None:
    found = colors(theme)
    assert contrast(found[pair[0]], found[pair[1]]) >= TEXT
