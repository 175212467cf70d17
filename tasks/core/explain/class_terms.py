"""How much may be sold at a loss of each class, how much is, and whether that stops it.

At the account's prices, where the trades end, the next dollar sold of a class is worth ``k (V - T_c) + mu`` and costs what its cheapest lot
does that may still be sold (``propose.order_worth`` has the symbols). Values and destinations are the household's where the account is
managed with others.

Room for losses (``rules.class_limits``): what a class has above its destination and what cash lacks of its own. It binds where all of it is
used, to less than a unit, and one more dollar sold at a loss would be worth more than it costs.
"""

from typing import Final

import polars as pl

from schemas.landing_columns import CASH
from tasks.core.explain.plain_values import Page, every_row
from tasks.core.explain.sentences import bps_words
from tasks.core.facts import BPS, CLASS
from tasks.core.propose import Solved

GROUP: Final = pl.coalesce("managed_household_id", "account_id")
NOTHING: Final = 0.005
"""Usd: less is nothing."""
NO_WORTH: Final = 1e-9
"""Usd per dollar: a dollar that is worth no more beyond its cost is worth nothing."""


def loss_rooms(standing: Solved, account_id: str) -> list[Page]:
    """``asset_class, held_usd, room_usd, above_usd, sold_usd, harvested_usd, is_binding, price_bps, sentence`` of classes with lots at a loss.

    Dollars, of the household where the account is managed with others; ``held_usd`` is what lots at a loss are worth. What is harvested,
    or sold outright by another rule, uses up no room.
    """
    group = standing.accounts.filter(pl.col("account_id") == account_id).select(GROUP).item()
    lots = lots_left(standing).filter((pl.col("group") == group) & (pl.col("gain") < 0))
    found = (
        lots.group_by("asset_class")
        .agg(
            held_usd=pl.col("held_usd").sum(),
            sold_usd=pl.col("solved_usd").sum(),
            harvested_usd=pl.col("outright_usd").sum(),
            left_usd=pl.col("left_usd").sum(),
            unit_usd=pl.col("step_usd").filter(pl.col("left_usd") > 0).min(),
            worth=(pl.col("worth") - pl.col("next_cost")).filter(pl.col("left_usd") > 0).max(),
        )
        .join(_room(standing, account_id), on="asset_class")
        .with_columns(
            is_binding=(pl.col("worth") > NO_WORTH)
            & (pl.col("sold_usd") > pl.col("room_usd") - pl.col("unit_usd"))
            & ~pl.col("is_bought")
        )
        .with_columns(price_bps=pl.when("is_binding").then(pl.col("worth") * BPS).otherwise(0.0))
        .sort("asset_class")
    )
    shown = ("asset_class", "held_usd", "room_usd", "above_usd", "sold_usd", "harvested_usd", "is_binding", "price_bps")
    return [
        {**{name: row[name] for name in shown}, "sentence": _room_sentence(row)}
        for row in every_row(found.with_columns(pl.col("is_binding").fill_null(value=False)))
    ]


def lots_left(standing: Solved) -> pl.DataFrame:
    """Lots but those of funds, with what is held, sold and left of each that may be sold, usd, and what the next dollar sold is worth and costs."""
    prices = standing.accounts.select("account_id", "shadow_price", "gain_price", group=GROUP, per_cost=per_cost())
    off = pl.col("governed_after_usd") - pl.col("destination_usd")
    unit = pl.col("unit_usd")
    outright = pl.min_horizontal("outright", "sold").cast(pl.Float64) * unit
    free = pl.when(pl.col("lock").is_null()).then("cap_usd").otherwise(0.0)
    is_replaced = (pl.col("gain") < 0) & (pl.col("sold").cast(pl.Float64) < pl.col("replaced_quantity"))
    saved = pl.col("tax_at") + pl.col("gain_price") * pl.col("gain")
    return (
        standing.lots.filter(pl.col("asset_class") != CASH)
        .join(prices, on="account_id")
        .join(standing.classes.select(*CLASS, off=off), on=CLASS)
        .with_columns(
            held_usd=pl.col("quantity").cast(pl.Float64) * unit,
            outright_usd=outright,
            solved_usd=pl.col("sold").cast(pl.Float64) * unit - outright,
            step_usd=pl.col("quantity_step").cast(pl.Float64) * unit,
            worth=pl.col("per_cost") * pl.col("off") + pl.col("shadow_price"),
            next_cost=pl.col("cost_at") - pl.when(is_replaced).then(saved).otherwise(0.0),
        )
        .with_columns(left_usd=(free - pl.col("solved_usd")).clip(lower_bound=0.0))
        .with_columns(left_usd=pl.when(pl.col("left_usd") > NOTHING).then("left_usd").otherwise(0.0))
    )


def per_cost() -> pl.Expr:
    """What a class a dollar further off its destination costs per dollar."""
    return pl.col("tracking_penalty") * (1.0 / pl.col("governed_nav_usd").cast(pl.Float64))


def _room(standing: Solved, account_id: str) -> pl.DataFrame:
    """By class of an account: ``room_usd``, ``above_usd`` (the part that the class has above its destination) and whether it is bought."""
    start = pl.col("start_value_usd").cast(pl.Float64).sum().over("group", "asset_class")
    return (
        standing.classes.join(standing.accounts.select("account_id", group=GROUP), on="account_id")
        .with_columns(above_usd=(start - pl.col("destination_usd")).clip(lower_bound=0.0))
        .filter(pl.col("account_id") == account_id)
        .select("asset_class", "above_usd", room_usd="loss_room_usd", is_bought=pl.col("bought") > 0)
    )


def _room_words(row: Page) -> str:
    """What room is made of."""
    above, lacking = row["above_usd"], row["room_usd"] - row["above_usd"]
    said = (
        f"{above:,.2f} above its destination" if above > NOTHING else "",
        f"{lacking:,.2f} that cash lacks" if lacking > NOTHING else "",
    )
    return " and ".join(filter(None, said))


def _room_sentence(row: Page) -> str:
    held, room, sold = row["held_usd"], row["room_usd"], row["sold_usd"]
    harvested = f" Another {row['harvested_usd']:,.2f} USD are sold outright." if row["harvested_usd"] > NOTHING else ""
    if room <= NOTHING:
        why = "it is not above its destination and no cash is lacking"
        worth = (
            f" One more dollar of room would be worth {bps_words(row['price_bps'])} of it." if row["is_binding"] else ""
        )
        return f"None of the {held:,.2f} USD of lots at a loss may be sold: {why}.{worth}{harvested}"
    most = f"Of the {held:,.2f} USD of lots at a loss at most {room:,.2f} may be sold ({_room_words(row)}), "
    if row["is_binding"]:
        worth = f"one more dollar of room would be worth {bps_words(row['price_bps'])} of it"
        return f"{most}and {sold:,.2f} are: the room binds, and {worth}.{harvested}"
    if row["left_usd"] <= NOTHING:
        return f"{most}and {sold:,.2f} are; nothing else of them may be sold.{harvested}"
    if row["is_bought"]:
        return f"{most}and {sold:,.2f} are: the class is bought, and never does both.{harvested}"
    return f"{most}and {sold:,.2f} are: more would not pay.{harvested}"
