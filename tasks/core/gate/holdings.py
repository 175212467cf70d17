"""What became of each holding since its account was last accepted: traded, split, too small to ask about, or unexplained.

A holding is all of one security in an account; what it was is in tonight's identifiers and shares (``corporate_actions``). For those of
which any lot changed, or whose price moved as after a split:

1. It is a split where the whole book agrees on one (``splits``) and the quantity is what it makes of it, to one share and trades.
   Where trades would do as well, a split leaves the cost of all as it was (to ``COST_TOLERANCE``) and trades do not.
   Where the price alone moved as after a split, or the quantity of lots that were there alone by a usual ratio (to
   ``RATIO_TOLERANCE``), half a split was booked: that is suspected. So it is where nothing moved in an account whose few shares would hide that within one share.
2. The change is traded where it lies between all sold and all bought from ``LAG_DAYS`` days before the account was last
   accepted: books may follow a trade by its settlement. After a corporate action it may be off by one share, paid out in cash.
3. It is small where it stays within the limit, a share of what the holding was; a holding that is new, one of its account. A lot that is
   listed once more under another name is never small.
4. A fund of class cash may change by what settled cash changed the other way, and by as little of the account as what is new.

Quantities and prices are compared as exact numbers, ratios crosswise: no quotient is rounded.
"""

from enum import StrEnum
from typing import Final

import polars as pl

from tasks.core.gate.cash import cash_moves
from tasks.core.gate.history import (
    HOLDING,
    QUANTITY_EXPLAINED,
    SPLIT_SUSPECTED,
    Comparison,
    first_traded_day,
    plain,
    share,
    values_then,
)
from tasks.core.gate.splits import bought_and_sold, is_inverse, looks_split, usual_ratio

_LOT: Final = (*HOLDING, "lot_id")
COST_TOLERANCE: Final = 0.01
_SHARES: Final = ("new_shares", "old_shares")
_AGREED: Final = {"new_shares": "agreed_new", "old_shares": "agreed_old"}


class HoldingChange(StrEnum):
    """What became of a holding."""

    EXPLAINED = "explained"
    SMALL = "small"
    SPLIT = "split"
    HALF_SPLIT = "half_split"
    LONE_SPLIT = "lone_split"
    PRICE_SPLIT = "price_split"
    UNBOOKED = "unbooked"
    UNEXPLAINED = "unexplained"


_SUSPECTED: Final = (
    HoldingChange.HALF_SPLIT,
    HoldingChange.LONE_SPLIT,
    HoldingChange.PRICE_SPLIT,
    HoldingChange.UNBOOKED,
)
"""The quantity moved without the price, with it but not as all holders' did, the price without the quantity, and neither where a split is known."""


def changed_lots(comparison: Comparison) -> pl.DataFrame:
    """Every lot, tonight's and then's, of the holdings of which any lot changed, or whose price moved as after a split.

    Columns: the lot's key, ``row_number`` (null: sold or missing tonight), ``quantity``, ``unit_cost_usd``, ``acquired_date`` and the same with
    ``_then`` (quantity null: new).
    """
    values = ("quantity", "unit_cost_usd", "acquired_date")
    then = comparison.then["lots"].select(*_LOT, *(pl.col(name).alias(f"{name}_then") for name in values))
    lots = comparison.tonight["lots"].select(*_LOT, "row_number", *values)
    lots = lots.join(then, on=_LOT, how="full", coalesce=True)
    is_changed = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_then")) for name in values)
    odd = comparison.prices.filter(_is_price_odd())["security_id"]
    is_sought = is_changed | pl.col("security_id").is_in(odd.implode())
    return lots.join(lots.filter(is_sought).select(HOLDING).unique(), on=HOLDING, how="semi")


def holdings(lots: pl.DataFrame, comparison: Comparison) -> pl.DataFrame:
    """The holdings that the lots make up, with the ``change`` of each.

    Columns: ``account_id, security_id``; ``quantity``, ``cost_usd`` and the same with ``_then`` (a cost sums the lots whose cost is
    known); ``lot_count`` tonight; ``known_count_then``; ``price_usd``, ``price_then_usd``; ``bought``, ``sold``; ``accepted_date``;
    ``new_shares`` for ``old_shares`` (1 for 1 where it is no split, nor like one); ``words``, ``is_rated``, ``is_exchanged``, ``is_parent`` of ``ACTED``.
    """
    is_new = pl.col("quantity_then").is_null()
    changes = (
        lots.with_columns(is_twin=is_new & _has_twin())
        .group_by(HOLDING)
        .agg(
            pl.col("quantity", "quantity_then").sum(),
            unit_cost_usd=pl.col("unit_cost_usd").max(),
            cost_usd=(pl.col("quantity") * pl.col("unit_cost_usd")).sum(),
            cost_then_usd=(pl.col("quantity_then") * pl.col("unit_cost_usd_then")).sum(),
            lot_count=pl.col("row_number").count(),
            known_count_then=pl.col("unit_cost_usd_then").count(),
            is_doubled=pl.col("is_twin").any(),
            is_added=pl.any_horizontal(is_new, pl.col("quantity").eq_missing(pl.col("quantity_then"))).all()
            & is_new.any(),
        )
        .join(comparison.accounts, on="account_id")
        .join(comparison.prices, on="security_id", how="left")
        .join(_traded_quantities(comparison), on=HOLDING, how="left")
        .join(comparison.acted, on=HOLDING, how="left")
        .join(comparison.splits.rename(_AGREED), on="security_id", how="left")
        .join(cash_moves(comparison).select("account_id", "beyond"), on="account_id", how="left")
        .with_columns(
            pl.col("bought", "sold").fill_null(0),
            pl.col("is_rated", "is_exchanged", "is_parent").fill_null(value=False),
        )
    )
    values = values_then(comparison, changes.select("account_id").unique())
    judged = _with_change(changes.join(values, on="account_id", how="left"), comparison)
    is_split = pl.col("change").is_in([HoldingChange.SPLIT, *_SUSPECTED])
    return judged.with_columns(pl.when(is_split).then(name).otherwise(1).fill_null(1).alias(name) for name in _SHARES)


def unexplained_changes(found: pl.DataFrame) -> pl.DataFrame:
    """``account_id, security_id, lot_count, rule, sentence`` of each holding whose change has no cause."""
    rows = found.filter(pl.col("change").is_in([*_SUSPECTED, HoldingChange.UNEXPLAINED]))
    change = pl.col("change")
    where = (
        pl.when(pl.col("lot_count") == 0).then(pl.format("quantity of {}", "security_id")).otherwise(pl.lit("quantity"))
    )
    lots = pl.when(pl.col("lot_count") > 1).then(pl.format(" in {} lots", "lot_count")).otherwise(pl.lit(""))
    then = pl.format("{} on {}{}", plain("quantity_then"), "accepted_date", pl.col("words").fill_null(""))
    held = pl.format("{} is {}{}, {}", where, plain("quantity"), lots, then)
    changes = pl.format(
        "trades that explain the change (bought {}, sold {} since {})",
        plain("bought"),
        plain("sold"),
        first_traded_day(),
    )
    trades = pl.format("{}.", changes)
    deed = (
        pl.when(pl.col("quantity_then") == 0)
        .then(pl.lit("spin-off, merger or change of identifier that brought it"))
        .otherwise(pl.lit("merger or change of identifier that took it"))
    )
    prices = pl.format("the price {}, {} before", plain("price_usd"), plain("price_then_usd"))
    split = pl.format(", as after a split of {} for {}, and {}", *_SHARES, prices)
    told = "the split in the table corporate_actions"
    needed = (
        pl.when(change == HoldingChange.HALF_SPLIT)
        .then(pl.format("{}; needed a price moved by the inverse, or {}", split, trades))
        .when(change == HoldingChange.LONE_SPLIT)
        .then(
            pl.format(f"{{}}, where other holders' quantities did not move so; needed {told}, or {{}}", split, trades)
        )
        .when((change == HoldingChange.PRICE_SPLIT) & pl.col("is_late").fill_null(value=False))
        .then(
            pl.format(
                ", and the price {}, in shares of before the split; needed one of about {}: the price source may not show the split yet.",
                plain("price_usd"),
                plain("price_then_usd"),
            )
        )
        .when(change == HoldingChange.PRICE_SPLIT)
        .then(pl.format(f", and {{}}, as after a split; needed a quantity that moved with it, or {told}.", prices))
        .when(change == HoldingChange.UNBOOKED)
        .then(
            pl.lit(
                ", as many shares as before the split; needed those of after it, or a person who knows that they are: "
                "the custodian may not have booked it yet."
            )
        )
        .when(pl.col("is_exchanged") & (pl.col("quantity") == pl.col("unsplit_quantity")))
        .then(
            pl.format("; needed the shares that it brought, which the custodian may not have booked yet, or {}", trades)
        )
        .when((pl.col("quantity_then") == 0) | ((pl.col("quantity") == 0) & pl.col("words").is_null()))
        .then(pl.format("; needed {}, or, in the table corporate_actions, the {}.", changes, deed))
        .when((pl.col("quantity_then") > 0) & pl.col("is_added"))
        .then(pl.format("; all lots of then are as they were, and others came; needed each lot once, or {}", trades))
        .otherwise(pl.format("; needed {}", trades))
    )
    rule = pl.when(change.is_in(_SUSPECTED)).then(pl.lit(SPLIT_SUSPECTED)).otherwise(pl.lit(QUANTITY_EXPLAINED))
    return rows.select(*HOLDING, "lot_count", rule=rule, sentence=pl.concat_str(held, needed))


def _has_twin() -> pl.Expr:
    """Whether another lot of the holding, that was there before, is the same but for its name: one lot, listed twice."""
    alike = [*HOLDING, "quantity", "unit_cost_usd", "acquired_date"]
    return pl.col("quantity").is_not_null() & pl.col("quantity_then").is_not_null().any().over(alike)


def is_cost_kept(new: str = "new_shares", old: str = "old_shares") -> pl.Expr:
    """All of the holding costs what it did, but for what was paid out in cash of the new shares that stand for the old."""
    gap, limit = (pl.col("cost_usd") - pl.col("cost_then_usd")).abs(), share(COST_TOLERANCE, pl.col("cost_then_usd"))
    paid = (pl.col("quantity") * pl.col(old) - pl.col("quantity_then") * pl.col(new)).abs() * pl.col("unit_cost_usd")
    return (gap * pl.col(old) <= limit * pl.col(old) + paid.fill_null(0)).fill_null(value=False)


def _traded_quantities(comparison: Comparison) -> pl.DataFrame:
    """``bought`` and ``sold`` of each holding in the days that may explain its change."""
    trades = comparison.tonight["trades"].join(comparison.accounts, on="account_id")
    recent = trades.filter(pl.col("trade_date").is_between(first_traded_day(), comparison.as_of))
    return bought_and_sold(recent)


def _with_change(changes: pl.DataFrame, comparison: Comparison) -> pl.DataFrame:
    held, then = pl.col("quantity"), pl.col("quantity_then")
    moved, price = held - then, pl.coalesce("price_usd", "price_then_usd")
    limits = comparison.limits
    limit = share(limits.max_unexplained_fraction, pl.col("value_usd"))
    cash_in_lieu = pl.when("is_rated").then(1).otherwise(0)
    is_traded = moved.is_between(-pl.col("sold") - cash_in_lieu, pl.col("bought") + cash_in_lieu)
    is_new, is_gone = then == 0, held == 0
    is_small = ~pl.col("is_doubled") & (
        pl.when(is_new)
        .then(moved * price * pl.col("price_factor") <= limit)
        .otherwise(~is_gone & (moved.abs() <= share(limits.max_unexplained_position_fraction, then)))
        .fill_null(value=False)
    )
    is_swept = pl.col("is_cash").fill_null(value=False) & (pl.col("beyond") <= limit).fill_null(value=False)
    is_unbooked = _is_unbooked(limits.max_unexplained_position_fraction)
    is_odd = _is_price_odd() & ~is_new & ~is_gone & ~pl.col("is_parent")
    fits = is_traded | is_small
    change = (
        pl.when(_is_missing())
        .then(pl.lit(HoldingChange.UNEXPLAINED))
        .when(is_unbooked)
        .then(pl.lit(HoldingChange.UNBOOKED))
        .when(_is_agreed_split() & (~is_traded | is_cost_kept(*_AGREED.values())))
        .then(pl.lit(HoldingChange.SPLIT))
        .when(is_swept)
        .then(pl.lit(HoldingChange.EXPLAINED))
        .when(is_odd & fits)
        .then(pl.lit(HoldingChange.PRICE_SPLIT))
        .when(is_traded)
        .then(pl.lit(HoldingChange.EXPLAINED))
        .when(is_small)
        .then(pl.lit(HoldingChange.SMALL))
        .when(pl.col("new_shares").is_not_null() & is_inverse())
        .then(pl.lit(HoldingChange.LONE_SPLIT))
        .when(pl.col("new_shares").is_not_null() & ~pl.col("is_added"))
        .then(pl.lit(HoldingChange.HALF_SPLIT))
        .otherwise(pl.lit(HoldingChange.UNEXPLAINED))
    )
    found = changes.with_columns(usual_ratio(pl.col("quantity"), pl.col("quantity_then")).struct.unnest()).with_columns(
        change=change
    )
    is_agreed = pl.col("change") == HoldingChange.SPLIT
    return found.with_columns(
        pl.when(is_agreed).then(agreed).otherwise(name).alias(name) for name, agreed in _AGREED.items()
    )


def _is_price_odd() -> pl.Expr:
    """The price moved as after a split, or did not where one was told."""
    is_late = pl.col("is_late").fill_null(value=False)
    return looks_split(pl.col("price_usd"), pl.col("price_then_usd")) | is_late


def _is_unbooked(limit: float) -> pl.Expr:
    """As many shares as before a split that is known, where that is off by more than the limit of what it makes of them, and no trades.

    Whole shares that are left of what it makes of them, the fraction paid out in cash, are booked: 1 of 1 at 3 for 2.
    """
    held, then, new, old = (pl.col(name) for name in ("quantity", "quantity_then", *_AGREED.values()))
    is_same = (held == pl.col("unsplit_quantity")) & pl.col("is_rated") & ~pl.col("is_exchanged")
    is_told = is_same & ((held - then).abs() > share(limit, then)) & (then.floor() != held)
    is_agreed = (
        ~pl.col("is_rated")
        & (held == then)
        & ((held * (new - old)).abs() > share(limit, then * new))
        & ~(then * new - held * old).is_between(0, old, closed="left")
    )
    is_untraded = (pl.col("bought") == 0) & (pl.col("sold") == 0)
    return (is_untraded & (then > 0) & (is_told.fill_null(value=False) | is_agreed.fill_null(value=False))).fill_null(
        value=False
    )


def _is_missing() -> pl.Expr:
    """As many shares as before a merger or a spin-off that brought more, and no trades; a fraction that it brought is paid out in cash."""
    held, is_untraded = pl.col("quantity"), (pl.col("bought") == 0) & (pl.col("sold") == 0)
    is_same = (held == pl.col("unsplit_quantity")).fill_null(value=False)
    return is_same & pl.col("is_exchanged") & is_untraded & (held < pl.col("quantity_then").floor())


def _is_agreed_split() -> pl.Expr:
    """The quantity is what the split that the book agrees on makes of it, but for a share and what was traded in shares old or new.

    Never beside one that was told: where the book says something else, a person does.
    """
    new, old = pl.col("agreed_new"), pl.col("agreed_old")
    off = pl.col("quantity") * old - pl.col("quantity_then") * new
    most = pl.max_horizontal(new, old)
    fits = off.is_between(-pl.col("sold") * most - old, pl.col("bought") * most + old)
    return (fits & (pl.col("quantity_then") > 0) & ~pl.col("is_rated")).fill_null(value=False)
