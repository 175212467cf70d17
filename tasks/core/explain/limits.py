"""What limits an account's trades, how much of each limit is used, and what one more dollar of it would be worth.

The prices are the solver's, at the continuous optimum; a price of 0: the limit does not bind. How many orders policy allows has no
price: what it costs stands in the gap.
"""

from typing import Final

import polars as pl

from schemas.landing_columns import CASH
from tasks.core.explain.plain_values import Page
from tasks.core.explain.sentences import bps_words, price_of_cash_sentence
from tasks.core.facts import BPS
from tasks.core.propose import Solved, realized_by_account

NO_PRICE: Final = 1e-9
"""Usd per dollar: a smaller price is none."""


def limits_of(account: Page, standing: Solved, proposal: Page | None) -> list[Page]:
    """``limit, most, used, price_bps, is_binding, sentence`` of cash, the gain budget, turnover and the number of orders.

    Dollars and orders. ``most`` null: policy sets no such limit. Of cash ``most`` is what there is beyond the reserve. What a rule
    sells outright uses up no turnover.

    Parameters
    ----------
    account
        ``facts.account_parameters``.
    standing
        The account, or its household, solved again.
    proposal
        Its row of ``proposals``; null: nothing is traded.
    """
    own = standing.only(pl.Series([account["account_id"]], dtype=pl.String))
    prices = own.accounts.row(0, named=True)
    gain = realized_by_account(own.lots).select(pl.col("short") + pl.col("long")).sum().item()
    by_rule = own.lots.filter(pl.col("asset_class") != CASH).select(
        (pl.min_horizontal("outright", "sold").cast(pl.Float64) * pl.col("unit_usd")).sum()
    )
    traded = proposal["gross_value_usd"] - by_rule.item() if proposal else 0.0
    most = None if account["max_turnover"] is None else 2 * account["max_turnover"] * float(prices["nav_usd"])
    return [
        _cash(account, proposal, prices["shadow_price"]),
        _priced("gain_budget", "net gains", account["max_realized_gain_usd"], gain, prices["gain_price"]),
        _priced("turnover", "purchases and sales", most, traded, prices["turnover_price"]),
        _orders(account["max_orders"], proposal["order_count"] if proposal else 0),
    ]


def _cash(account: Page, proposal: Page | None, price: float) -> Page:
    before = account["cash_usd"]
    return {
        "limit": "cash",
        "most": before,
        "used": 0.0 if proposal is None else before - proposal["cash_after_usd"],
        "price_bps": price * BPS,
        "is_binding": price > NO_PRICE,
        "sentence": price_of_cash_sentence(price * BPS),
    }


def _priced(limit: str, what: str, most: float | None, used: float, price: float) -> Page:
    is_binding = most is not None and price > NO_PRICE
    if most is None:
        sentence = f"Policy sets no limit on {what}."
    elif is_binding:
        sentence = (
            f"The limit on {what}, {most:,.2f} USD, binds: {used:,.2f} USD of it are used, and one more dollar would be "
            f"worth {bps_words(price * BPS)} of it."
        )
    else:
        sentence = (
            f"The limit on {what}, {most:,.2f} USD, does not bind: {used:,.2f} USD of it are used, and one more dollar "
            "would be worth nothing."
        )
    return {
        "limit": limit,
        "most": most,
        "used": used,
        "price_bps": price * BPS,
        "is_binding": is_binding,
        "sentence": sentence,
    }


def _orders(most: int | None, used: int) -> Page:
    sentence = "Policy sets no limit on the number of orders."
    if most is not None:
        sentence = f"Policy allows {most} orders, and {used} are made; what a limit on orders costs stands in the gap."
    return {
        "limit": "orders",
        "most": most,
        "used": used,
        "price_bps": None,
        "is_binding": most is not None and used >= most,
        "sentence": sentence,
    }
