"""Plain sentences for the words that outcomes, reasons, triggers and tax regimes are written in: one for every word."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from schemas.enums import LookReason, Outcome, ProposalState, Reason, TaxRegime, Term, Trigger

OUTCOMES: Final = {
    Outcome.IN_BAND: "Every class is within its band and nothing else calls for a look: no trades.",
    Outcome.PROPOSED: "Trades are proposed.",
    Outcome.BLOCKED: "The account needs trades that cannot be made.",
    Outcome.QUARANTINED: "A row that the account's value depends on is broken, so it was left alone for the night.",
    Outcome.FROZEN: "Accounts that are frozen or closed are never traded.",
    Outcome.COOLING_DOWN: "The account was exported too recently to be traded again.",
    Outcome.NO_TRADE: "The account was looked at, and no trade was worth making or allowed.",
    Outcome.ERROR: "Something failed; the log of the run says what.",
}
REASONS: Final = {
    Reason.TAX_EXCEEDS_BENEFIT: "Selling more would cost more in tax than being closer to target is worth.",
    Reason.COST_EXCEEDS_BENEFIT: "Trading more would cost more in spread than being closer to target is worth.",
    Reason.RESTRICTED: "A restriction forbids the trade.",
    Reason.WASH_SALE_WINDOW: "The household sold this at a loss within the wash-sale window; buying it would disallow the loss.",
    Reason.BELOW_MINIMUM: "The order would be smaller than the smallest that policy allows.",
    Reason.BELOW_IMPROVEMENT: "The trade would remove less of the deviation than policy asks for.",
    Reason.TURNOVER_LIMIT_REACHED: "Policy's limit on turnover is used up.",
    Reason.ORDER_LIMIT_REACHED: "Policy's limit on the number of orders is used up.",
    Reason.FEWER_TRADES: "The order was left out: policy prefers fewer orders where they are nearly as good.",
    Reason.BUY_ONLY: "The account only buys.",
    Reason.SELL_ONLY: "The account only sells.",
    Reason.NOT_HELD: "The security is closed to accounts that do not hold it yet.",
    Reason.HOLD_RANGE: "The account must keep at least, or at most, so much of the security.",
    Reason.LOT_FROZEN: "The lot is frozen and may not be sold.",
    Reason.MEMBER_NOT_TRADED: "An account of the household cannot be traded tonight.",
    Reason.NO_PRICE: "There is no price for what the class would buy.",
    Reason.NOT_TRADABLE: "The security is not tradable.",
    Reason.MISSING_BASIS: "The cost or the date of a lot is unknown, so the tax of selling it is too.",
    Reason.SHORT_TERM_GAIN_AVOIDED: "Selling would realize a short-term gain, which policy avoids.",
    Reason.GAIN_BUDGET_REACHED: "Policy's limit on realized gains is used up.",
    Reason.NOTHING_TO_BUY: "The buy list has nothing that the account may buy for the class.",
    Reason.TRACKING_BUDGET: "Selling more would leave the basket further from its index than its tracking budget allows.",
    Reason.UNIT_TOO_DEAR: "One unit of what the class may buy is worth more than the class wants.",
    Reason.UNMODELLED_HELD: "The model has no such class, and policy holds what the model does not know.",
    Reason.NO_CASH_TO_BUY: "There is no cash to buy with, and nothing left that may be sold for it.",
    Reason.AWAITING_FILE: "The file of the account's custodian has not come yet.",
    Reason.FILE_REFUSED: "The file of the account's custodian came and could not be used.",
    Reason.ORDERS_OPEN: (
        "Orders of it left, nothing final was said of them, and its holdings do not show them: what they were to trade would be "
        "traded twice. It waits for the broker's final word, for holdings that show them, or for `trimtab orders settle ORDER --note WHY`."
    ),
    Reason.ORDERS_OVERDUE: (
        "Orders of it left longer ago than policy allows, nothing final was said of them, and its holdings do not show them. Ask the "
        "broker what became of them; it waits for the broker's final word, for holdings that show them, or for `trimtab orders settle ORDER --note WHY`."
    ),
    Reason.CANNOT_RAISE_CASH: "The account owes cash, and what it may sell does not bring enough.",
    Reason.NO_TARGET: "The account's model has no targets.",
    Reason.NO_INVESTABLE_VALUE: "The account is worth nothing beyond its reserve.",
}
TRIGGERS: Final = {
    Trigger.DRIFT: "a class is out of its band",
    Trigger.CASH: "cash is out of its band or owed",
    Trigger.CALENDAR: "the calendar says it is due",
    Trigger.MODEL_CHANGE: "its model has changed since its last export",
    Trigger.HARVEST: "it holds losses worth harvesting",
    Trigger.MANUAL: "a person asked for it",
}
NO_CERTIFICATE: Final = (
    "A person left out of the trades what a rule sells outright: the bound that was proven is of other trades."
)
ROUNDED_ORDER: Final = (
    "Rounded: at the prices of the best trades in fractions of units this order costs more than it is worth. In whole units its account is "
    "better with it, or needs what it brings."
)
RULE_ORDER: Final = "A rule sells it outright, whatever it is worth."
CHANGED_ORDER: Final = "A person changed the orders: beside what is left, this one costs more than it is worth."
LOSS_RULE: Final = (
    "Nothing is sold for the tax alone: a class sells at a loss at most what it has too much of, and what cash lacks."
)
OF_THE_HOUSEHOLD: Final = "Distances and room for losses are the household's."
NOT_AS_ITS_NIGHT: Final = (
    "Solving the account again gives other orders than its night did, since the program has changed. Prices of limits, room for "
    "losses and what the gap is made of are not shown."
)
TOO_MANY_MEMBERS: Final = "Its household of {} accounts is not solved again here: prices of limits, room for losses and what the gap is made of are not shown."
LOOKS: Final = {
    LookReason.HOLD: "Somebody holds the account back.",
    LookReason.SHORT_CASH: "It owes cash before the trades.",
    LookReason.ANOMALY: "It is worth more or less than prices, trades and flows explain, against its own history.",
    LookReason.LARGE_TAX: "The tax is more than 0.5 % of the account's value.",
    LookReason.NEW_MODEL: "Its model has changed since its last export.",
    LookReason.LARGE_TURNOVER: "It turns over more than 10 % of the account's value.",
    LookReason.LOW_IMPROVEMENT: "It brings the account less than 0.5 % of its value closer to the model.",
    LookReason.FIRST_TRADE: "Nothing was ever exported for the account.",
    LookReason.HARVEST: "It sells at a loss for the tax.",
    LookReason.TILT_CUT: "Its model is not tilted as its investor asked.",
    LookReason.INDEX_NOT_HELD: "A class of it should be held as an index, and is not.",
}
STANDINGS: Final = {
    "exported_for_this_date": "Its trades for this date have been exported already.",
    "account_frozen": "The custodian says that it is frozen.",
    "account_closed": "The custodian says that it is closed.",
    "nothing_worth_trading": "No trade was worth its cost.",
    "cool_down": "Policy waits after an export.",
    "fills_overdue": (
        "Its holdings have not shown for longer than policy allows what brokers told of its orders. Ask the custodian; what ends it are "
        "the holdings, a bust where the fill was told in error, or the missing trades."
    ),
    "fills_not_shown": "Its holdings do not show yet what brokers told of its orders: its drift would be that of before.",
}
"""Reasons of an outcome that are neither of a class nor a trigger."""
REGIMES: Final = {
    TaxRegime.NONE: "The account pays no tax on a sale.",
    TaxRegime.TAXED: "One more dollar of gain is taxed at its own term's rate.",
    TaxRegime.SHORT_OFFSET: "Net short-term losses offset long-term gains: one more dollar of either is taxed at the long-term rate.",
    TaxRegime.LONG_OFFSET: "Net long-term losses offset short-term gains: one more dollar of either is taxed at the short-term rate.",
    TaxRegime.UNTAXED: "Losses exceed gains: one more dollar of gain costs no tax this year.",
    TaxRegime.EDGE: "The trades stop where one more dollar of gain would be taxed differently.",
}
STATES: Final = {
    ProposalState.PROPOSED: "not in the queue yet",
    ProposalState.PENDING_REVIEW: "waits for a person",
    ProposalState.AUTO_APPROVED: "approved by policy, not exported yet",
    ProposalState.APPROVED: "approved by a person, not exported yet",
    ProposalState.REJECTED: "rejected",
    ProposalState.EXPIRED: "expired before it was decided or exported",
    ProposalState.SUPERSEDED: "overtaken by a newer run or an export",
    ProposalState.WITHDRAWN: "approved, then withdrawn",
    ProposalState.EXPORTED: "exported",
    ProposalState.ACKNOWLEDGED: "exported and acknowledged",
    ProposalState.FILLED: "filled",
    ProposalState.PARTLY_FILLED: "filled in part",
    ProposalState.FAILED: "exported and failed",
}

ACCOUNT_KNOWN: Final = "account_known"
"""The rule that a row breaks whose account was not delivered."""
LEAST_BPS: Final = 0.05
LEAST_DRIFT: Final = 1e-4
"""Drift of less than a basis point is none."""


def outcome_sentences(outcome: str, reason: str) -> list[str]:
    """The outcome, then a sentence for each part of its reason."""
    return [OUTCOMES[Outcome(outcome)], *_reason_sentences(Outcome(outcome), reason)]


def _reason_sentences(outcome: Outcome, reason: str) -> Iterator[str]:
    if outcome is Outcome.PROPOSED:
        yield f"Looked at because {' and '.join(TRIGGERS[Trigger(word)] for word in reason.split('|'))}."
    elif outcome is Outcome.IN_BAND:
        return
    elif outcome is Outcome.QUARANTINED:
        yield f"Broken rules: {', '.join(reason.split('|'))}."
        for part in reason.split("|"):
            table, _, rule = part.partition(":")
            if rule == ACCOUNT_KNOWN:
                yield f"A row of {table} names no account that was delivered and could be a row of this one."
    else:
        yield from (reason_sentence(part) for part in reason.split("|"))


def reason_sentence(reason: str) -> str:
    """The sentence for a reason ``word`` or ``word: detail``, its detail in brackets; the reason itself where it is no word of ours."""
    word, _, detail = reason.partition(": ")
    words = {**STANDINGS, **{str(known): sentence for known, sentence in REASONS.items()}}
    sentence = words.get(word, reason)
    return f"{sentence.rstrip('.')} ({detail})." if detail and word in words else sentence


def certificate_sentence(gap_bps: float, gap_usd: float) -> str:
    """What a proposal's certificate means."""
    return (
        "No other whole-share trade under the same rules could be better by more than "
        f"{gap_bps:.3f} bps of NAV ({gap_usd:,.2f} USD)."
    )


def bps_words(bps: float) -> str:
    """A price per dollar, to a tenth of a basis point, more digits where there would be none."""
    return f"{bps:,.1f} bps" if abs(bps) >= LEAST_BPS else f"{bps:.2g} bps"


def price_of_cash_sentence(bps: float) -> str:
    """What the account's price of cash means."""
    if bps < 0:
        return f"Cash is in surplus: one more dollar of it would make the account worse off by {bps_words(-bps)}."
    return f"One more dollar of cash would be worth {bps_words(bps)} of it in less drift, tax or spread."


def tax_rate_sentence(term: Term, rate: float, regime: TaxRegime) -> str:
    """What one more dollar of gain of a term costs, and one of loss saves."""
    if rate <= 0:
        return f"One more dollar of {term}-term gain would add no tax, and one of loss would save none."
    added = f"One more dollar of {term}-term gain would add about {100 * rate:.1f} cents of tax"
    return f"{added}." if regime is TaxRegime.EDGE else f"{added}, and one of loss would save as much."


def frontier_sentence(policy: dict[str, float], full: dict[str, float]) -> str:
    """Where policy stands between doing nothing and the full targets; each has ``one_way_drift_after`` and ``paid_usd``."""
    own = f"Policy's own trades leave {policy['one_way_drift_after']:.2%} of drift for {policy['paid_usd']:,.2f} USD of tax and cost"
    removed, price = (
        policy["one_way_drift_after"] - full["one_way_drift_after"],
        full["paid_usd"] - policy["paid_usd"],
    )
    if removed < LEAST_DRIFT:
        return f"{own}; going to the full targets would remove no more."
    return f"{own}; going to the full targets would remove another {removed:.2%} of drift for {price:,.2f} USD more."


def tilt_sentence(tilt: Mapping[str, Any]) -> str:
    """What is made of a row of ``tilted_targets``: ``stocks is tilted by +2 % from model core, from 60 % to 62 %``."""
    before, after = (100 * tilt[name] for name in ("model_weight", "target_weight"))
    what = f"tilted by {after - before:+.4g} % from model {tilt['model_id']}, from {before:.4g} % to {after:.4g} %"
    note = "" if tilt["note"] is None else f"; {tilt['note']}"
    return f"{tilt['asset_class']} is {what}{note}."
