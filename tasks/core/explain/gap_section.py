"""The certificate on an account's page: how far its trades can be from the best, and what that gap is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tasks.core.explain.plain_values import Page, some_of
from tasks.core.explain.sentences import NO_CERTIFICATE, certificate_sentence
from tasks.core.facts import BPS
from tasks.core.propose import GapParts, Solved, parts_of_gap

CERTIFICATE: Final = ("objective_usd", "lower_bound_usd", "gap_bps")
UNKNOWN: Final[Page] = {
    **dict.fromkeys(("continuous_usd", "idle_usd", "is_idle_allowed")),
    "parts": [],
    **dict.fromkeys(("parts_sentence", "idle_sentence")),
}
"""What is said of a gap whose parts are not known."""
PERSON: Final = "person"
LETTERS: Final = {
    "whole_units": "u",
    "smallest_order": "m",
    "improvement": "i",
    "order_limit": "o",
    "household": "h",
    "funds": "f",
    PERSON: "c",
    "proof": "p",
}
"""Parts of a gap from the bound up but ``proof``, which lies next to the bound, and a letter for each."""
PART_WORDS: Final = {
    "whole_units": "whole units",
    "smallest_order": "the smallest order, and what one must be worth",
    "improvement": "the least improvement of a class",
    "order_limit": "the number of orders",
    "household": "what members of the household share",
    "funds": "the sale of funds of the class cash, and room for their losses in the bound",
    PERSON: "what a person changed",
    "proof": "what the proof leaves open",
}
CENT: Final = 0.005
"""Usd: less is not said."""


def certificate_section(proposal: Page | None, solved: Solved | None) -> Page | None:
    """Objective, bound and gap, with the best trades in fractions of units, trading nothing, and the parts of the gap, usd.

    Parameters
    ----------
    proposal
        Its row of ``proposals``; null: there is no certificate to show.
    solved
        The account, with its household where that is managed together, as its night solved it; null: the parts are not known.
    """
    if proposal is None:
        return None
    if proposal["objective_usd"] is None or proposal["lower_bound_usd"] is None:
        return {**some_of(proposal, CERTIFICATE), "gap_usd": None, "sentence": NO_CERTIFICATE, **UNKNOWN}
    gap_usd = proposal["objective_usd"] - proposal["lower_bound_usd"]
    return {
        **some_of(proposal, CERTIFICATE),
        "gap_usd": gap_usd,
        "sentence": certificate_sentence(proposal["gap_bps"], gap_usd),
        **(UNKNOWN if solved is None else _picture(proposal, solved)),
    }


def _picture(proposal: Page, solved: Solved) -> Page:
    made = parts_of_gap(solved)
    nav = float(solved.accounts["governed_nav_usd"][0])
    usd = {**made.parts, PERSON: proposal["objective_usd"] - made.answer_usd}
    is_allowed = not solved.accounts["is_owing"].any()
    return {
        "continuous_usd": made.continuous_usd,
        "idle_usd": made.idle_usd,
        "is_idle_allowed": is_allowed,
        "parts": [
            {"part": part, "usd": usd[part], "bps": BPS * usd[part] / nav, "words": PART_WORDS[part]}
            for part in LETTERS
        ],
        "parts_sentence": _parts_sentence(proposal["objective_usd"] - made.bound_usd, usd),
        "idle_sentence": _idle_sentence(proposal["objective_usd"], made, is_allowed=is_allowed),
    }


def _parts_sentence(gap_usd: float, usd: dict[str, float]) -> str:
    if gap_usd < CENT:
        return "There is no gap to the cent."
    said = [
        f"{PART_WORDS[part]} {usd[part]:,.2f} ({letter})" for part, letter in LETTERS.items() if abs(usd[part]) >= CENT
    ]
    return f"The gap of {gap_usd:,.2f} USD is made of: {'; '.join(said)}."


def _idle_sentence(objective: float, made: GapParts, *, is_allowed: bool) -> str:
    if not is_allowed:
        return f"Trading nothing ({made.idle_usd:,.2f} USD) is not allowed: cash is owed."
    worse, possible = made.idle_usd - objective, made.idle_usd - made.bound_usd
    gained = f": these trades bring {worse / possible:.1%} of the most that could be gained" if possible > 0 else ""
    return f"Trading nothing would be {worse:,.2f} USD worse{gained}."


@dataclass(frozen=True, slots=True)
class GapMark:
    """A piece of the picture of a gap: what it is, and where it begins and ends, from 0 (the bound) to 1 (the trades)."""

    part: str
    start: float
    end: float


def gap_marks(certificate: Mapping[str, Any]) -> list[GapMark]:
    """The pieces from the bound to the trades, ``proof`` first; none where the parts are not known or the gap is less than a cent."""
    usd = {one["part"]: max(one["usd"], 0.0) for one in certificate["parts"]}
    whole = sum(usd.values())
    if whole < CENT:
        return []
    marks, at = [], 0.0
    for part in ("proof", *(part for part in LETTERS if part != "proof")):
        share = usd[part] / whole
        if share > 0:
            marks.append(GapMark(part, at, at + share))
            at += share
    return marks
