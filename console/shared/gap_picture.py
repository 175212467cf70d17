"""The gap of a proposal as a small drawing: from the proven bound, over what the gap is made of, to the trades, and to trading nothing."""

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from tasks.core.explain import LETTERS, gap_marks

WIDTH, HEIGHT = 640, 58
LEFT, RIGHT, IDLE = 14.0, 500.0, 614.0
"""Where the bound, the trades and trading nothing stand."""
TOP, THICK = 24, 18
LETTER_WIDTH: Final = 16.0
"""A piece, or the place between two letters, that is narrower has no letter of its own."""


def gap_svg(certificate: Mapping[str, Any]) -> str:
    """The drawing as SVG: letters as in the sentence below it; empty where the parts of the gap are not known."""
    if not certificate["parts"]:
        return ""
    words = {one["part"]: one for one in certificate["parts"]}
    pieces, best = [], LEFT
    for mark in gap_marks(certificate):
        start, end = (LEFT + share * (RIGHT - LEFT) for share in (mark.start, mark.end))
        one = words[mark.part]
        pieces.append(_piece(mark.part, start, end, f"{one['words']}: {one['usd']:,.2f} USD"))
        best = end if mark.part == "proof" else best
    said = f"{certificate['parts_sentence']} {certificate['idle_sentence']}"
    return "".join(
        (
            f'<svg class="gap" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}">',
            f'<line class="gap-line" x1="{LEFT}" y1="{TOP + THICK / 2}" x2="{RIGHT}" y2="{TOP + THICK / 2}"/>',
            *pieces,
            *_letters(best, is_idle_allowed=certificate["is_idle_allowed"]),
            "</svg>",
        )
    )


def _piece(part: str, start: float, end: float, words: str) -> str:
    letter = LETTERS[part] if end - start >= LETTER_WIDTH else ""
    middle, foot = (start + end) / 2, TOP + THICK - 5
    return (
        f'<rect class="gap-{part}" x="{start:.1f}" y="{TOP}" width="{end - start:.1f}" height="{THICK}"><title>{escape(words)}</title></rect>'
        f'<text class="gap-part" x="{middle:.1f}" y="{foot}">{letter}</text>'
    )


def _letters(best: float, *, is_idle_allowed: bool) -> list[str]:
    """B the bound, C the best in fractions of units, T the trades, N trading nothing beyond a break."""
    spots = {"B": LEFT, "C": best, "T": RIGHT}
    if best - LEFT < LETTER_WIDTH:
        spots = {"B C": LEFT, "T": RIGHT}
    elif RIGHT - best < LETTER_WIDTH:
        spots = {"B": LEFT, "C T": RIGHT}
    middle, cut = TOP + THICK / 2, (RIGHT + IDLE) / 2
    beyond = [
        f'<line class="gap-line dashed" x1="{RIGHT}" y1="{middle}" x2="{IDLE}" y2="{middle}"/>',
        f'<text class="gap-letter" x="{cut}" y="{middle + 5}">//</text>',
        f'<circle class="gap-idle" cx="{IDLE}" cy="{middle}" r="5"/>',
        f'<text class="gap-letter" x="{IDLE}" y="14">N</text>',
    ]
    own = [
        f'<text class="gap-letter" x="{max(x, LEFT + 4 * (len(name) - 1)):.1f}" y="14">{name}</text>'
        for name, x in spots.items()
    ]
    return [*own, *(beyond if is_idle_allowed else [])]
