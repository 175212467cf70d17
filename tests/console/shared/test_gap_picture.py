"""The drawing of a gap: what it is made of, to scale, and letters that do not stand on one another."""

import itertools
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from console.shared.gap_picture import IDLE, LEFT, LETTER_WIDTH, RIGHT, gap_svg
from tasks.core.explain.gap_section import LETTERS

SVG = "{http://www.w3.org/2000/svg}"


def certificate(*, is_idle_allowed: bool = True, **usd: float) -> dict[str, Any]:
    return {
        "is_idle_allowed": is_idle_allowed,
        "parts": [{"part": part, "usd": usd.get(part, 0.0), "words": f"<{part}>"} for part in LETTERS],
        "parts_sentence": 'The gap of "3" & more.',
        "idle_sentence": "Worse.",
    }


def drawn(**usd: float) -> ET.Element:
    return ET.fromstring(gap_svg(certificate(**usd)))  # noqa: S314 - of our own making


def letters(svg: ET.Element) -> dict[str, float]:
    return {text.text or "": float(text.get("x", "")) for text in svg.iter("text") if text.get("class") == "gap-letter"}


def test_pieces_fill_the_way_from_the_bound_to_the_trades_in_proportion() -> None:
    pieces = {piece.get("class"): piece for piece in drawn(whole_units=1.0, order_limit=3.0).iter("rect")}
    assert set(pieces) == {"gap-whole_units", "gap-order_limit"}
    widths = {name: float(piece.get("width", "")) for name, piece in pieces.items()}
    assert abs(3 * widths["gap-whole_units"] - widths["gap-order_limit"]) < 0.5
    assert abs(sum(widths.values()) - (RIGHT - LEFT)) < 0.5


def test_letters_that_would_stand_on_one_another_stand_together() -> None:
    assert list(letters(drawn(whole_units=1.0))) == ["B C", "T", "//", "N"]
    assert list(letters(drawn(proof=1.0))) == ["B", "C T", "//", "N"]
    apart = letters(drawn(whole_units=1.0, proof=1.0))
    assert list(apart) == ["B", "C", "T", "//", "N"]
    places = sorted(apart.values())
    assert min(after - before for before, after in itertools.pairwise(places)) >= LETTER_WIDTH
    assert max(places) == IDLE


def test_trading_nothing_is_not_drawn_where_it_is_not_allowed() -> None:
    assert list(letters(ET.fromstring(gap_svg(certificate(is_idle_allowed=False, whole_units=1.0))))) == ["B C", "T"]  # noqa: S314


def test_words_are_text_and_are_read_aloud() -> None:
    svg = drawn(whole_units=1.0)
    assert svg.get("aria-label") == 'The gap of "3" & more. Worse.'
    assert [title.text for title in svg.iter("title")] == ["<whole_units>: 1.00 USD"]


def test_what_is_not_known_is_not_drawn() -> None:
    assert gap_svg({**certificate(), "parts": []}) == ""


def test_a_part_has_a_colour() -> None:
    style = (Path(__file__).parents[3] / "console" / "static" / "console.css").read_text(encoding="utf-8")
    assert set(LETTERS) <= set(re.findall(r"\.gap-(\w+)", style))
