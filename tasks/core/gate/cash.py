"""Cash whose change is unexplained.

Cash is what is settled and what funds of class cash are worth: sweeps between the two, and trades in such funds, change nothing. It may have

1. risen by what sales brought and fallen by what purchases cost (quantity x price) from ``LAG_DAYS`` days before the account was last
   accepted: books may follow a trade by its settlement, so that all of it may have come since, or nothing;
2. moved by what was pending then, whole or in part;
3. moved by what ``flows`` tells of since the account was last accepted, whole or in part: some of it may have come in kind, or be pending. What was
   pending then was told before, and counts once.

Beyond that, up to the limit, a dividend or a fee may have come or gone; and any sum where the custodian's own total has it too.
What trades that the holdings show brought or cost must have moved settled or pending cash, by half of it at least: where holdings are of the
day of the trade and cash is of its settlement, the account would spend the same cash twice. It waits until its custodian has booked both.
What a merger paid in cash for shares that are gone must have come, to ``_LEAST_PAID`` of what they were worth at the last price.

Known limits: cash that follows a trade later than the holdings do, of which neither a trade nor a fill is told, has no cause; nor has a
contribution or a withdrawal that was never pending and of which no flow is told. Above the limit both wait for a person. A contribution that is
invested on the very night on which it comes may look like a purchase that is not booked.
"""

from typing import Final

import polars as pl

from schemas.enums import Side
from tasks.core.gate.history import (
    CASH_BOOKED,
    CASH_EXPLAINED,
    HOLDING,
    Comparison,
    first_traded_day,
    plain,
    share,
    values_then,
)
from tasks.core.gate.splits import bought_and_sold

_LEAST_PAID: Final = 0.75
_MOST_PAID: Final = 1.5
"""Shares of the last price that a merger paid in cash brings."""
ONLY_UNBOOKED: Final = f"cash:{CASH_BOOKED}"
"""Reason of an account that waits for the cash of its trades, and for nothing else: where books follow so, each that traded does."""
_LEAST_BOOKED: Final = 0.5
"""Share that must have moved cash of what trades that the holdings show come to."""
_MOST_UNBOOKED: Final = 0.005
"""Share of the account's value that never stops it."""
_NOTHING: Final = pl.lit(0, pl.Decimal(38, 6))


def unexplained_cash(comparison: Comparison, valued: pl.DataFrame) -> pl.DataFrame:
    """Broken rules (as ``BROKEN``) of tonight's cash. An account that was worth nothing has nothing to compare with.

    ``valued``: ``account_id`` of those that are worth what their custodian says; that cash is there.
    """
    is_valued = pl.col("account_id").is_in(valued["account_id"].implode())
    moves = cash_moves(comparison).join(_shown_trades(comparison), on="account_id", how="left")
    moved = moves.with_columns(pl.col("shown_usd").fill_null(0)).with_columns(unbooked_usd=_unbooked())
    moved = moved.filter(((pl.col("beyond") > 0) & ~is_valued) | pl.col("is_short") | (pl.col("unbooked_usd") > 0))
    limit = comparison.limits.max_unexplained_cash_fraction
    worth = moved.join(values_then(comparison, moved.select("account_id")), on="account_id")
    is_far = (pl.col("value_usd") > 0) & (pl.col("beyond") > share(limit, pl.col("value_usd"))) & ~is_valued
    is_unbooked = pl.col("unbooked_usd") > share(_MOST_UNBOOKED, pl.max_horizontal("value_usd", _NOTHING))
    broken = worth.filter(is_far | pl.col("is_short") | is_unbooked)
    unpaid = pl.format(
        "settled_usd is {}, {} on {}; needed about {} more, which a merger paid in cash owes for shares that are gone.",
        _with_funds("settled_usd", "funds_usd"),
        _with_funds("settled_then", "funds_then"),
        "accepted_date",
        plain("due_usd"),
    )
    flows = pl.format("and flows told since (in {}, out {}) ", plain("in_usd"), plain("out_usd"))
    changed = pl.format(
        "settled_usd is {}, {} on {}; needed a change that trades since {} (sold for {}, bought for {}) and cash pending then ({}) "
        "{}explain, within {} % of the account's value then ({}), or a value_usd in the table account_totals that has it too.",
        _with_funds("settled_usd", "funds_usd"),
        _with_funds("settled_then", "funds_then"),
        "accepted_date",
        first_traded_day(),
        plain("sold_usd"),
        plain("bought_usd"),
        plain("pending_then"),
        pl.when((pl.col("in_usd") != 0) | (pl.col("out_usd") != 0)).then(flows).otherwise(pl.lit("")),
        pl.lit(f"{limit * 100:g}"),
        plain("value_usd"),
    )
    unbooked = pl.format(
        "settled_usd is {}, {} on {}; needed about {} {}: the holdings show trades since {} whose cash the custodian has not booked yet, "
        "neither here nor in pending_usd.",
        _with_funds("settled_usd", "funds_usd"),
        _with_funds("settled_then", "funds_then"),
        "accepted_date",
        plain("unbooked_usd"),
        pl.when(pl.col("shown_usd") > 0).then(pl.lit("more")).otherwise(pl.lit("less")),
        first_traded_day(),
    )
    sentence = pl.when("is_short").then(unpaid).when(is_far).then(changed).otherwise(unbooked)
    rule = pl.when(pl.col("is_short") | is_far).then(pl.lit(CASH_EXPLAINED)).otherwise(pl.lit(CASH_BOOKED))
    return broken.select("row_number", rule=rule, sentence=sentence)


def cash_moves(comparison: Comparison) -> pl.DataFrame:
    """Tonight's cash, an account a row, with what it was then, ``funds_usd`` and ``funds_then``, and how far it moved ``beyond`` what is known."""
    then = comparison.then["cash"].select("account_id", settled_then="settled_usd", pending_then="pending_usd")
    moved = (
        comparison.tonight["cash"]
        .join(then, on="account_id")
        .join(comparison.accounts, on="account_id")
        .join(_proceeds(comparison), on="account_id", how="left")
        .join(_funds(comparison, "tonight", "price_usd", "funds_usd"), on="account_id", how="left")
        .join(_funds(comparison, "then", "price_then_usd", "funds_then"), on="account_id", how="left")
        .join(comparison.due, on="account_id", how="left")
        .join(_flows(comparison), on="account_id", how="left")
        .with_columns(
            pl.col(
                "raised_usd", "sold_usd", "bought_usd", "funds_usd", "funds_then", "due_usd", "in_usd", "out_usd"
            ).fill_null(0)
        )
    )
    change = pl.col("settled_usd") + pl.col("funds_usd") - pl.col("settled_then") - pl.col("funds_then")
    pending, due = pl.col("pending_then"), pl.col("due_usd")
    beyond = pl.max_horizontal(
        change - pl.col("sold_usd") - pl.max_horizontal(pending, _NOTHING) - share(_MOST_PAID, due) - pl.col("in_usd"),
        pl.min_horizontal(pending, _NOTHING) - pl.col("bought_usd") - change - pl.col("out_usd"),
        _NOTHING,
    )
    is_short = (due > 0) & (change - pl.col("raised_usd") < share(_LEAST_PAID, due))
    return moved.with_columns(beyond=beyond, is_short=is_short)


def _unbooked() -> pl.Expr:
    """How much of what the holdings show traded did not move cash, settled or with what is pending; 0 where enough of it did."""
    shown, then = pl.col("shown_usd"), pl.col("settled_then") + pl.col("funds_then")
    settled = pl.col("settled_usd") + pl.col("funds_usd") - then
    both = settled + pl.col("pending_usd") - pl.col("pending_then")
    lacks = (
        pl.when(shown > 0)
        .then(shown - pl.max_horizontal(settled, both))
        .when(shown < 0)
        .then(pl.min_horizontal(settled, both) - shown)
        .otherwise(_NOTHING)
    )
    return pl.when(lacks > share(1 - _LEAST_BOOKED, shown.abs())).then(lacks).otherwise(_NOTHING)


def _shown_trades(comparison: Comparison) -> pl.DataFrame:
    """``account_id, shown_usd``: what trades since ``first_traded_day`` brought, less what they cost, as far as the holdings moved by them, at tonight's prices."""
    trades = comparison.tonight["trades"].join(comparison.accounts, on="account_id")
    recent = trades.filter(pl.col("trade_date").is_between(first_traded_day(), comparison.as_of))
    held = [
        rows["lots"].group_by(HOLDING).agg(pl.col("quantity").sum().alias(name))
        for name, rows in (("now", comparison.tonight), ("then", comparison.then))
    ]
    both = bought_and_sold(recent).join(held[0], on=HOLDING, how="left").join(held[1], on=HOLDING, how="left")
    moved = both.with_columns(pl.col("now", "then").fill_null(0)).with_columns(moved=pl.col("now") - pl.col("then"))
    shown = pl.max_horizontal(pl.min_horizontal("moved", "bought"), -pl.col("sold"))
    worth = -shown * pl.coalesce("price_usd", "price_then_usd") * pl.col("price_factor")
    is_unsplit = moved.join(comparison.splits, on="security_id", how="anti")  # a split moves holdings and no cash
    priced = is_unsplit.join(comparison.prices.filter(~pl.col("is_cash")), on="security_id")
    return priced.group_by("account_id").agg(shown_usd=worth.sum())


def _flows(comparison: Comparison) -> pl.DataFrame:
    """``account_id, in_usd, out_usd``: what flows of after the account was accepted brought and took, each above 0."""
    told = comparison.tonight["flows"].join(comparison.accounts, on="account_id")
    amount = pl.col("amount_usd")
    since = told.filter(pl.col("flow_date") > pl.col("accepted_date"), pl.col("flow_date") <= comparison.as_of)
    return since.group_by("account_id").agg(
        in_usd=amount.filter(amount > 0).sum(), out_usd=-amount.filter(amount < 0).sum()
    )


def _funds(comparison: Comparison, night: str, price: str, name: str) -> pl.DataFrame:
    """``account_id`` and what its funds of class cash are worth."""
    lots = (comparison.tonight if night == "tonight" else comparison.then)["lots"]
    funds = comparison.prices.filter("is_cash")
    value = pl.col("quantity") * pl.coalesce(price, "price_usd", "price_then_usd") * pl.col("price_factor")
    return lots.join(funds, on="security_id").group_by("account_id").agg(value.sum().alias(name))


def _with_funds(settled: str, funds: str) -> pl.Expr:
    words = pl.format("{} and {} in cash funds", plain(settled), plain(funds))
    has_funds = (pl.col("funds_usd") != 0) | (pl.col("funds_then") != 0)
    return pl.when(has_funds).then(words).otherwise(plain(settled))


def _proceeds(comparison: Comparison) -> pl.DataFrame:
    """``account_id``; what sales brought and purchases cost since ``first_traded_day``; ``raised_usd``, the one less the other after the account was accepted."""
    factors = comparison.prices.select("security_id", "price_factor", "is_cash")
    trades = comparison.tonight["trades"].join(comparison.accounts, on="account_id")
    trades = trades.join(factors, on="security_id", how="left")
    is_recent = pl.col("trade_date").is_between(first_traded_day(), comparison.as_of)
    value = pl.col("quantity") * pl.col("price_usd") * pl.col("price_factor").fill_null(1)
    is_sale, is_since = pl.col("side") == Side.SELL, pl.col("trade_date") > pl.col("accepted_date")
    is_cash = pl.col("is_cash").fill_null(value=False)
    return (
        trades.filter(is_recent, ~is_cash)
        .group_by("account_id")
        .agg(
            sold_usd=value.filter(is_sale).sum(),
            bought_usd=value.filter(~is_sale).sum(),
            raised_usd=pl.when(is_sale).then(value).otherwise(-value).filter(is_since).sum(),
        )
    )
