"""The landing contract in words: what each column means, and the sentence and name of each rule a cell can break."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, Final

import polars as pl

from schemas.landing_columns import CURRENCY, IDENTIFIER, IDENTIFIERS, LABEL, dtypes
from schemas.units import EXACT

MEANINGS: Final[dict[str, str]] = {
    "account_id": "the account the row belongs to",
    "household_id": "the household of the account",
    "custodian": "who holds the account",
    "tax_status": "how the account's gains are taxed",
    "model_id": "the model portfolio",
    "policy_id": "the policy that decides trades",
    "status": "whether the account may be traded",
    "short_term_rate": "the tax rate on short-term gains",
    "long_term_rate": "the tax rate on long-term gains",
    "cash_reserve_usd": "cash in US dollars that stays uninvested",
    "ytd_short_gain_usd": "net short-term gain realized this year in US dollars",
    "ytd_long_gain_usd": "net long-term gain realized this year in US dollars",
    "loss_carryforward_short_usd": "short-term losses of earlier years not used yet in US dollars, a positive amount",
    "loss_carryforward_long_usd": "long-term losses of earlier years not used yet in US dollars, a positive amount",
    "security_id": "the security",
    "lot_id": "the tax lot within the account",
    "quantity": "how many shares, or the face amount of a bond",
    "unit_cost_usd": "what one unit cost in US dollars, in the terms of the security's price",
    "acquired_date": "the day the lot was bought",
    "is_frozen": "whether the lot is never sold",
    "settled_usd": "settled cash in US dollars",
    "pending_usd": "contributions less withdrawals under way in US dollars",
    "symbol": "the ticker",
    "name": "the security's name",
    "asset_class": "the asset class",
    "security_type": "what kind of instrument it is",
    "quantity_step": "the smallest step of a quantity",
    "half_spread_bps": "half the bid-ask spread in basis points",
    "is_tradable": "whether it may be traded",
    "price_factor": "what quantity times price is multiplied by to make a value",
    "exchange": "the exchange, where securities share a symbol",
    "cusip": "the CUSIP with its check digit, 9 characters",
    "isin": "the ISIN with its check digit, 12 characters",
    "order_in": "what purchases are ordered in",
    "flow_date": "the first day on which the account's cash or lots have it",
    "amount_usd": "what went in, or out below 0, in US dollars",
    "price_usd": "the price of one share in US dollars",
    "price_date": "the day of the price",
    "target_weight": "the class's share of the account",
    "delta_weight": "what is added to the class's target",
    "exclude": "securities that the account is not to buy",
    "index_id": "the index",
    "weight": "the security's share of the index",
    "weight_date": "the day that the weights are of",
    "tracking_budget": "the share of the class's target that sales may leave unheld",
    "min_weight": "the share of the index below which a security is left out",
    "absolute_band": "the drift allowed as a fraction of the account",
    "relative_band": "the drift allowed as a fraction of the target",
    "effective_date": "the first day on which it holds",
    "action": "what a company did to its shares",
    "ratio": "how many shares stand for one since",
    "new_security_id": "what the security is known by since",
    "rank": "the order of preference",
    "investor_id": "the investor",
    "is_tenth_risked": "whether a cut of a tenth is risked for the chance to double an income",
    "is_fifth_risked": "whether a cut of a fifth is",
    "is_third_risked": "whether a cut of a third is",
    "is_half_risked": "whether a cut of a half is",
    "risk_score": "how much risk is wanted, the more the bolder",
    "horizon_years": "how many years from the profile's day on the money is invested",
    "yearly_income_usd": "what is earned in a year in US dollars",
    "yearly_flow_usd": "what is paid in during a year in US dollars, below 0 what is drawn",
    "wealth_usd": "all wealth in US dollars, the accounts too",
    "income_beta": "how much of what is still to be saved moves as the market does",
    "goal_usd": "what the accounts should come to in US dollars",
    "goal_date": "the day by which they should",
    "glide_path_id": "the glide path",
    "profiled_date": "the day on which the investor was asked",
    "rung": "the rung of the ladder, the higher the bolder",
    "expected_return": "the return expected in a year",
    "volatility": "the standard deviation of a year's returns",
    "source_date": "the day that the figures are of",
    "years_to_goal": "how many years are left",
    "risky_share": "the share of the boldest rung",
    "rule": "what is forbidden",
    "until_date": "the last day the restriction holds",
    "min_quantity": "how many shares are kept at least",
    "max_quantity": "how many shares are kept at most",
    "min_value_usd": "what is kept at least in US dollars",
    "max_value_usd": "what is kept at most in US dollars",
    "cost_bps": "what holding the class there costs in basis points of its value",
    "trade_date": "the day of the trade",
    "side": "the direction of the trade",
    "realized_gain_usd": "the gain the sale realized in US dollars",
}
"""Meaning of each column of the landing tables, policies apart."""

_TYPES: Final[list[tuple[Any, str]]] = [
    (EXACT, "a number of at most 12 digits before the point and 6 after it"),
    (pl.Float64, "a finite number"),
    (pl.Int64, "a whole number"),
    (pl.Date, "a date as YYYY-MM-DD"),
    (pl.Boolean, "true or false"),
    (pl.String, "a text"),
]
_IDENTIFIER: Final = "1 to 64 characters of A-Z a-z 0-9 . _ - (not . or .. alone)"
_PATTERNS: Final = {
    IDENTIFIER: ("identifier", _IDENTIFIER),
    IDENTIFIERS: ("identifiers", f"identifiers joined by |, each {_IDENTIFIER}"),
    LABEL: ("label", "1 to 64 characters without a space at either end"),
}
"""Of a text's pattern: end of the rule's name and what the cell must hold."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name in ``broken_rules``, the column it looks at and what the column must hold."""

    name: str
    column: str
    needed: str


CURRENCY_RULE: Final = Rule("currency_usd", "currency", f"{CURRENCY}, the only currency of this version")
HOLDING_RULE: Final = Rule("holding_adds_up", "holding", "lots that add up to the holding")
LINE_RULE: Final = Rule("line_complete", "line", "as many cells as the header has columns")
WHOLE_ROW_RULES: Final = (LINE_RULE, HOLDING_RULE)
"""Rules of a row as a whole: where one is broken, no cell of the row says anything."""


def contract_of(table: str) -> Any:
    """The Pandera model of a table: it takes a second to import, and whoever only reads what was set aside needs none."""
    from schemas.landing import CONTRACTS  # noqa: PLC0415 - see above

    return CONTRACTS[table]


def readable(table: str, column: str) -> Rule:
    """The rule that a cell can be read as its column's type."""
    if column == "currency":
        return CURRENCY_RULE
    whole = {rule.column: rule for rule in WHOLE_ROW_RULES}.get(column)
    return whole or Rule(f"{column}_readable", column, _type_words(table, column))


def required_rule(table: str, column: str) -> Rule:
    """The rule that a cell is not empty."""
    return Rule(f"{column}_required", column, _words(table, column))


def unique_key(key: Sequence[str]) -> Rule:
    """The rule that no two rows share their key."""
    return Rule(f"unique_{'_'.join(key)}", ", ".join(key), "a key that no other row of the table has")


def not_after(column: str, as_of: date) -> Rule:
    """The rule that what a row says was so by the as-of date."""
    return Rule(f"{column}_not_after_as_of", column, f"a date that is not after the as-of date {as_of}")


@cache
def column_rules(table: str) -> dict[tuple[str, str], Rule]:
    """The rule of each check of the contract, by column and the check's text as Pandera reports it."""
    return {
        (name, str(check.error or check.name)): Rule(
            f"{name}_{_rule_words(column.checks)[0]}", name, _words(table, name)
        )
        for name, column in contract_of(table).to_schema().columns.items()
        for check in column.checks
    }


def column_requirement(table: str, column: str) -> str:
    """What a source must deliver in a column: ``quantity: how many shares, a number above 0``."""
    meaning = MEANINGS.get(column)
    return f"{column}: {meaning}, {_words(table, column)}" if meaning else f"{column}: {_words(table, column)}"


def _type_words(table: str, column: str) -> str:
    wanted = dtypes(table)[column]
    return next(words for dtype, words in _TYPES if wanted == dtype)


def _words(table: str, column: str) -> str:
    checks = contract_of(table).to_schema().columns[column].checks
    return _rule_words(checks)[1] if checks else _type_words(table, column)


def _rule_words(checks: Sequence[Any]) -> tuple[str, str]:
    """End of the rule's name and what the cell must hold; two checks of one column (a range) are one rule."""
    limits: dict[str, Any] = {str(check.name): next(iter((check.statistics or {}).values()), None) for check in checks}
    low, high = limits.get("greater_than_or_equal_to"), limits.get("less_than_or_equal_to")
    match limits:
        case {"str_matches": pattern}:
            described = _PATTERNS[pattern]
        case {"isin": values}:
            described = "known", f"one of {', '.join(values)}"
        case {"greater_than": above, "less_than_or_equal_to": _}:
            described = f"above_{above}_to_{high}", f"a number above {above} and up to {high}"
        case {"less_than_or_equal_to": _}:
            described = f"between_{low}_and_{high}", f"a number from {low} to {high}"
        case {"less_than": below}:
            described = f"from_{low}_below_{below}", f"a number from {low} to below {below}"
        case {"greater_than": above}:
            described = "positive" if above == 0 else f"above_{above}", f"a number above {above}"
        case _:
            described = "not_negative" if low == 0 else f"at_least_{low}", f"a number of {low} or more"
    return described
