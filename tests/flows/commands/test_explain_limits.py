"""The gap of a proposal as a line of characters."""

from typing import Any

import pytest

from flows.commands.explain_limits import BAR, gap_bar
from tasks.core.explain.gap_section import LETTERS


def certificate(*, is_idle_allowed: bool = True, **usd: float) -> dict[str, Any]:
    return {
        "is_idle_allowed": is_idle_allowed,
        "parts": [{"part": part, "usd": usd.get(part, 0.0), "words": part} for part in LETTERS],
    }


@pytest.mark.parametrize(
    ("usd", "bar"),
    [
        ({}, "BCT------//------N"),
        ({"whole_units": 2.0}, "BC" + 60 * "u" + "T------//------N"),
        ({"whole_units": 1.0, "proof": 1.0}, "B" + 30 * "p" + "C" + 30 * "u" + "T------//------N"),
        (
            {"smallest_order": 1.0, "whole_units": 2.0, "order_limit": 3.0},
            "BC" + 20 * "u" + 10 * "m" + 30 * "o" + "T------//------N",
        ),
        ({"person": -1.0, "whole_units": 1.0}, "BC" + 60 * "u" + "T------//------N"),
    ],
)
def test_the_line_has_each_part_from_the_bound_to_the_trades_to_scale(usd: dict[str, float], bar: str) -> None:
    assert gap_bar(certificate(**usd)) == bar


def test_every_part_has_a_letter_of_its_own_and_all_fit_in_the_line() -> None:
    bar = gap_bar(certificate(**dict.fromkeys(LETTERS, 1.0)))
    assert [letter for letter in bar if letter in LETTERS.values()] == sorted(
        bar[1:].replace("C", "").partition("T")[0], key="pumiohfc".index
    )
    assert len(bar.partition("T")[0]) == BAR + 2
    assert set(LETTERS.values()) <= set(bar)


def test_where_cash_is_owed_the_line_ends_at_the_trades() -> None:
    assert gap_bar(certificate(is_idle_allowed=False, whole_units=1.0)) == "BC" + 60 * "u" + "T"
