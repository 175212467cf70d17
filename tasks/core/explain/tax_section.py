"""The year's tax on one account's page: what nets with what before tonight's sales and after them, and what they add.

    after = before + tonight + disallowed        before = year to date - loss carried forward
    tax added = T(short after, long after) - T(short before, long before)

``disallowed`` is what the wash-sale rule takes off losses (above 0); where a loss moves to a lot that is sold tonight too, it counts
there. ``side``: of the two convex problems that the answer is sought under (``solver.netting``), the one that it lies on.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import polars as pl

from schemas.enums import TaxRegime, TaxStatus, Term
from tasks.core.explain.plain_values import Page, some_of
from tasks.core.explain.sentences import REGIMES, tax_rate_sentence
from tasks.core.propose import Solved, net_gains
from tasks.core.tax import is_taxed, netted_tax

TAXED: Final = ("short_before_usd", "long_before_usd", "short_term_rate", "long_term_rate")
"""What ``netted_tax`` takes, in its order."""
GAINS: Final = tuple(
    f"{kind}_{term}_{unit}" for kind, unit in (("ytd", "gain_usd"), ("loss_carryforward", "usd")) for term in Term
)
NETTING: Final = (
    "netting_before",
    "netting_before_sentence",
    "netting_after",
    "netting_after_sentence",
    "side",
    "side_sentence",
)
CENT: Final = 0.005
"""Usd: less is no gain and no loss."""


class Netting(StrEnum):
    """What the year's net gains of the two terms do to one another."""

    NOTHING = "nothing"
    GAINS = "gains"
    LOSSES = "losses"
    LONG_LOSS = "long_loss"
    SHORT_LOSS = "short_loss"


class TaxSide(StrEnum):
    """The convex problem that the answer lies on: the term of the lower rate ends as a gain, or as a loss."""

    TAXED = "A"
    OFFSET = "B"


def netting_of(short: float, long: float) -> Netting:
    """How net gains of the two terms, usd, meet; less than half a cent is none."""
    if max(abs(short), abs(long)) < CENT:
        return Netting.NOTHING
    if min(short, long) > -CENT:
        return Netting.GAINS
    if max(short, long) < CENT:
        return Netting.LOSSES
    return Netting.LONG_LOSS if long < 0 else Netting.SHORT_LOSS


def netting_sentence(short: float, long: float) -> str:
    """How they net, in words and dollars."""
    netting = netting_of(short, long)
    if netting is Netting.NOTHING:
        return "There is no net gain and no net loss."
    if netting is Netting.GAINS:
        return "No term is a net loss: each is taxed at its own rate."
    if netting is Netting.LOSSES:
        return f"No term is a net gain: nothing is taxed, and {-short - long:,.2f} USD of loss is left."
    loss, gain = (Term.LONG, Term.SHORT) if netting is Netting.LONG_LOSS else (Term.SHORT, Term.LONG)
    lost, won = abs(min(short, long)), max(short, long)
    set_off = f"The {loss}-term loss of {lost:,.2f} USD is set off against the {gain}-term gain of {won:,.2f} USD: "
    if won - lost >= CENT:
        return f"{set_off}{won - lost:,.2f} USD is left and taxed at the {gain}-term rate."
    return f"{set_off}nothing is taxed, and {lost - won:,.2f} USD of loss is left."


def side_of(short: float, long: float, rates: tuple[float, float]) -> TaxSide | None:
    """The problem that the net gains after the sales lie on; null where both terms have one rate, or none is taxed."""
    if rates[0] == rates[1]:
        return None
    lower = long if rates[1] < rates[0] else short
    return TaxSide.TAXED if lower >= 0 else TaxSide.OFFSET


def side_sentence(side: TaxSide | None, rates: tuple[float, float]) -> str | None:
    """What the side means."""
    if side is None:
        return None
    lower = Term.LONG if rates[1] < rates[0] else Term.SHORT
    how = "gain" if side is TaxSide.TAXED else "loss"
    return f"The answer lies on side {side} of the tax: the {lower}-term net, of the lower rate, ends as a {how}."


def tax_section(account: Page | None, proposal: Page | None, standing: Solved | None) -> Page | None:
    """The year's gains, what these trades add to them, and the tax on both; null without the account's facts.

    Parameters
    ----------
    account
        Its parameters with ``tax.gains_before``.
    proposal
        Its row of ``proposals``; null: none.
    standing
        The account solved again, with the trades of its newest version; null: what counts of its sales is not known.
    """
    if account is None:
        return None
    frame = pl.DataFrame([some_of(account, ("tax_status", *TAXED))], infer_schema_length=None)
    owed = pl.when(is_taxed()).then(netted_tax(*(pl.col(name) for name in TAXED))).otherwise(0.0)
    before = float(frame.select(owed).item())
    regime = None if proposal is None else proposal["tax_regime"]
    return {
        **some_of(account, ("tax_status", "short_term_rate", "long_term_rate", *GAINS)),
        **some_of(proposal, ("realized_short_gain_usd", "realized_long_gain_usd", "est_tax_usd")),
        "tax_before_usd": before,
        "tax_after_usd": before + (proposal["est_tax_usd"] if proposal else 0.0),
        "regime": regime,
        "regime_sentence": None if regime is None else REGIMES[TaxRegime(regime)],
        **some_of(proposal, ("marginal_short_rate", "marginal_long_rate")),
        **_netting(account, proposal, standing),
    }


def _netting(account: Page, proposal: Page | None, standing: Solved | None) -> Page:
    """``terms``, ``netting_before``, ``netting_after``, ``side`` and their sentences; null after where that is not known."""
    before = {term: float(account[f"{term}_before_usd"]) for term in Term}
    after = _after(account, proposal, standing, before)
    tonight = {term: proposal[f"realized_{term}_gain_usd"] if proposal else 0.0 for term in Term}
    regime = None if proposal is None else TaxRegime(proposal["tax_regime"])
    terms = [
        {
            "term": str(term),
            "rate": account[f"{term}_term_rate"],
            "before_usd": before[term],
            "tonight_usd": tonight[term],
            "disallowed_usd": None if after is None else _rounded(after[term] - before[term] - tonight[term]),
            "after_usd": None if after is None else after[term],
            "marginal_rate": None if proposal is None else proposal[f"marginal_{term}_rate"],
            "marginal_sentence": None
            if proposal is None or regime is None
            else tax_rate_sentence(term, proposal[f"marginal_{term}_rate"], regime),
        }
        for term in Term
    ]
    if account["tax_status"] != TaxStatus.TAXABLE:
        return {"terms": terms, **dict.fromkeys(NETTING)}
    rates = (float(account["short_term_rate"]), float(account["long_term_rate"]))
    side = None if after is None or proposal is None else side_of(after[Term.SHORT], after[Term.LONG], rates)
    return {
        "terms": terms,
        "netting_before": str(netting_of(before[Term.SHORT], before[Term.LONG])),
        "netting_before_sentence": netting_sentence(before[Term.SHORT], before[Term.LONG]),
        "netting_after": None if after is None else str(netting_of(after[Term.SHORT], after[Term.LONG])),
        "netting_after_sentence": None if after is None else netting_sentence(after[Term.SHORT], after[Term.LONG]),
        "side": None if side is None else str(side),
        "side_sentence": side_sentence(side, rates),
    }


def _rounded(amount: float) -> float:
    """To six digits like every sum of money, and no negative nothing."""
    return round(amount, 6) + 0.0


def _after(
    account: Page, proposal: Page | None, standing: Solved | None, before: Mapping[Term, float]
) -> dict[Term, float] | None:
    """Net gains after the sales by term, usd; null where nothing is taxed, or what counts of the sales is not known."""
    if account["tax_status"] != TaxStatus.TAXABLE or (proposal is not None and standing is None):
        return None
    if proposal is None or standing is None:
        return dict(before)
    found: dict[str, Any] = (
        net_gains(standing.accounts, standing.lots)
        .filter(pl.col("account_id") == account["account_id"])
        .row(0, named=True)
    )
    return {term: float(found[f"{term}_after"]) for term in Term}
