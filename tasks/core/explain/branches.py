"""Which way each class of an account trades, and why not the other where that is not obvious.

At the account's prices, where the trades end, the next dollar sold of a class is worth ``k (V - T_c) + mu`` and costs what its cheapest lot
does that may still be sold; the next one bought is worth ``k (T_c - V)`` and costs ``half spread + location + mu + rho``
(``propose.order_worth`` has the symbols). Values and destinations are the household's where the account is managed with others.
"""

from typing import Final

import polars as pl

from schemas.enums import Reason
from tasks.core.explain.class_terms import GROUP, NO_WORTH, NOTHING, loss_rooms, lots_left, per_cost
from tasks.core.explain.plain_values import Page, every_row
from tasks.core.explain.sentences import REASONS, bps_words
from tasks.core.facts import BPS
from tasks.core.propose import NEAR_ENOUGH, Solved

SHOWN: Final = (
    "asset_class",
    "way",
    "sold_usd",
    "outright_usd",
    "bought_usd",
    "over_usd",
    "off_usd",
    "sell_worth_bps",
    "sell_cost_bps",
    "buy_worth_bps",
    "buy_cost_bps",
)


def branches(standing: Solved, account_id: str) -> list[Page]:
    """``SHOWN``, a sentence, and whether that says no more than the numbers, for each class but cash of an account.

    ``way``: sells, buys, neither, or ``replaces`` where what is sold outright is bought back in another security. Dollars are the account's own;
    ``over_usd`` and ``off_usd`` are how far the class (of the household where it is managed with others) is above its destination once
    outright sales are made, and after all trades. Costs in basis points of a dollar are null where no more may be sold or bought.
    """
    found = every_row(_stands(standing, account_id))
    return [
        {**{name: row[name] for name in SHOWN}, "is_obvious": _is_obvious(row), "sentence": _sentence(row)}
        for row in found
    ]


def _stands(standing: Solved, account_id: str) -> pl.DataFrame:
    account = standing.accounts.select(
        *("account_id", "shadow_price", "turnover_price", "is_owing", "governed_nav_usd", "useful_usd"),
        least_usd=pl.max_horizontal("min_trade_usd", pl.col("min_trade_weight") * pl.col("nav_usd").cast(pl.Float64)),
        group=GROUP,
        per_cost=per_cost(),
    )
    start = pl.col("start_value_usd").cast(pl.Float64).sum().over("group", "asset_class")
    bought = pl.col("bought_usd").cast(pl.Float64)
    unit = (pl.col("buy_unit_usd") * pl.col("buy_step").cast(pl.Float64)).fill_null(0.0)
    buy_cost = pl.col("buy_cost") + pl.col("shadow_price") + pl.col("turnover_price")
    may_buy = pl.col("buy_lock").is_null() & (pl.col("buy_cap_usd") - bought >= unit) & (unit > 0)
    off = pl.col("governed_after_usd") - pl.col("destination_usd")
    return (
        standing.classes.drop("sold_usd")
        .join(account, on="account_id")
        .with_columns(over_usd=start - pl.col("destination_usd"), off_usd=off, bought_usd=bought, buy_unit_usd=unit)
        .filter(pl.col("account_id") == account_id)
        .join(_sales(standing, account_id), on="asset_class", how="left")
        .with_columns(pl.col("sold_usd", "lost_usd", "outright_usd").fill_null(0.0))
        .with_columns(
            sell_worth_bps=(pl.col("per_cost") * pl.col("off_usd") + pl.col("shadow_price")) * BPS,
            buy_worth_bps=-pl.col("per_cost") * pl.col("off_usd") * BPS,
            buy_cost_bps=pl.when(may_buy).then(buy_cost * BPS),
            buy_left_usd=pl.col("buy_cap_usd") - pl.col("bought_usd"),
            near_usd=pl.max_horizontal(NEAR_ENOUGH * pl.col("governed_nav_usd").cast(pl.Float64), "buy_unit_usd"),
            way=_way(),
        )
        .sort("asset_class")
    )


def _way() -> pl.Expr:
    sells, buys = pl.col("sold_usd") > NOTHING, pl.col("bought_usd") > NOTHING
    return (
        pl.when(buys & (pl.col("outright_usd") > NOTHING))
        .then(pl.lit("replaces"))
        .when(buys)
        .then(pl.lit("buys"))
        .when(sells | (pl.col("outright_usd") > NOTHING))
        .then(pl.lit("sells"))
        .otherwise(pl.lit("neither"))
    )


def _sales(standing: Solved, account_id: str) -> pl.DataFrame:
    """By class of an account: what is sold, outright and beside that, usd; what the next dollar would cost, and why it was left out."""
    full = [row["asset_class"] for row in loss_rooms(standing, account_id) if _is_full(row)]
    is_open = (pl.col("left_usd") > 0) & ~((pl.col("gain") < 0) & pl.col("asset_class").is_in(full))
    return (
        lots_left(standing)
        .filter(pl.col("account_id") == account_id)
        .group_by("asset_class")
        .agg(
            sold_usd=pl.col("solved_usd").sum(),
            lost_usd=pl.col("solved_usd").filter(pl.col("gain") < 0).sum(),
            outright_usd=pl.col("outright_usd").sum(),
            sell_cost_bps=pl.col("next_cost").filter(is_open).min() * BPS,
            sell_unit_usd=pl.col("step_usd").filter(is_open).sort_by(pl.col("next_cost").filter(is_open)).first(),
            sell_left_usd=pl.col("left_usd").filter(is_open).sum(),
            lot_dropped=pl.col("lot_dropped").filter(is_open).drop_nulls().sort().first(),
        )
    )


def _is_full(row: Page) -> bool:
    return bool(row["is_binding"] or row["sold_usd"] > row["room_usd"] - NOTHING)


def _is_obvious(row: Page) -> bool:
    """It sells above its destination, buys below, or stays where it is at it, and the other way would not pay."""
    over = row["over_usd"]
    is_expected = {
        "sells": over > NOTHING and row["outright_usd"] <= NOTHING,
        "buys": over < -NOTHING,
        "neither": abs(row["off_usd"]) <= row["near_usd"],
        "replaces": False,
    }
    return is_expected[row["way"]] and not _other_way(row)


def _sentence(row: Page) -> str:
    """The way, and the other way where it would pay by itself."""
    said = {"replaces": _replaces, "buys": _buys, "sells": _sells, "neither": _stays}[row["way"]](row)
    return f"{said}{_other_way(row)}"


def _replaces(row: Page) -> str:
    return f"Sells {row['outright_usd']:,.2f} USD outright and buys {row['bought_usd']:,.2f} USD of another security."


def _buys(row: Page) -> str:
    bought, over = row["bought_usd"], row["over_usd"]
    if over < -NOTHING:
        return f"Buys {bought:,.2f} USD: it is {-over:,.2f} USD below its destination."
    return (
        f"Buys {bought:,.2f} USD though it is not below its destination: there is more cash than can be put elsewhere."
    )


def _sells(row: Page) -> str:
    sold, over = row["sold_usd"], row["over_usd"]
    outright = f"{row['outright_usd']:,.2f} USD outright" if row["outright_usd"] > NOTHING else ""
    if sold <= NOTHING:
        return f"Sells {outright}: a rule says so."
    what = f"Sells {outright} and {sold:,.2f} USD" if outright else f"Sells {sold:,.2f} USD"
    if over > NOTHING:
        return f"{what}: it is {over:,.2f} USD above its destination."
    if row["is_owing"]:
        return f"{what} though it is not above its destination: cash is owed."
    if row["lost_usd"] > NOTHING:
        return f"{what} though it is not above its destination: cash lacks of its target, and the loss saves tax."
    return f"{what} though it is not above its destination: what it pays for is further from its own."


def _stays(row: Page) -> str:
    over = row["off_usd"]
    if abs(over) <= row["near_usd"]:
        return "Stays: it is at its destination, to less than is worth trading."
    side, dropped = ("sell", row["lot_dropped"]) if over > 0 else ("buy", row["buy_dropped"])
    where = f"Stays {abs(over):,.2f} USD {'above' if over > 0 else 'below'} its destination"
    worth, cost = row[f"{side}_worth_bps"], row[f"{side}_cost_bps"]
    if dropped:
        return f"{where}. {REASONS[Reason(dropped)]}"
    if cost is None:
        return f"{where}: nothing of it may be {'sold' if side == 'sell' else 'bought'}."
    if worth <= cost + NO_WORTH * BPS:
        return f"{where}: the next dollar to {side} is worth {bps_words(worth)} and costs {bps_words(cost)}."
    return f"{where}: {_too_small(row, side)}."


def _too_small(row: Page, side: str) -> str:
    """Why what would pay at the margin makes no order."""
    wish = _wish(row, side)
    if wish < row[f"{side}_unit_usd"]:
        return f"{wish:,.2f} USD of it to {side} would pay, less than a whole unit"
    if wish < row["least_usd"]:
        return f"{wish:,.2f} USD of it to {side} would pay, less than the smallest order"
    if row["per_cost"] / 2 * wish**2 < row["useful_usd"]:
        return f"{wish:,.2f} USD of it to {side} would pay, less than an order must be worth"
    return f"{wish:,.2f} USD of it to {side} would pay in fractions of units; whole orders are better without it"


def _wish(row: Page, side: str) -> float:
    """Dollars of a class, of those that may be traded, of which each is worth more than it costs."""
    beyond = (row[f"{side}_worth_bps"] - row[f"{side}_cost_bps"]) / BPS / row["per_cost"]
    return float(min(beyond, row[f"{side}_left_usd"]))


def _other_way(row: Page) -> str:
    """A class that trades one way and could gain by the other too does not do both."""
    other = {"sells": "buy", "buys": "sell"}.get(row["way"])
    if other is None or row[f"{other}_cost_bps"] is None or _wish(row, other) <= row[f"{other}_unit_usd"]:
        return ""
    how = "buying" if other == "buy" else "selling at a loss"
    beyond = bps_words(row[f"{other}_worth_bps"] - row[f"{other}_cost_bps"])
    return (
        f" By itself {how} would pay too, by {beyond} of the next dollar, but a class never does both: this way the account is "
        "better off."
    )
