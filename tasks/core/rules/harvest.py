"""Which lots are sold outright for the tax that their loss saves, and what is bought in their place.

1. A lot of an account that pays tax and whose policy harvests is past both limits: its loss, without the part that a
   purchase of the household within the wash-sale window disallows, in dollars, and as a fraction of its cost. It goes whole.
2. It is not locked, nor needed for the least that a range of its security asks the account to hold.
3. Its class, or another member of the index that its class is a member of, has an eligible alternate: the best choice of its buy list that the account may buy, of which what is sold buys a unit,
   and that no account of the household harvests tonight or sold at a loss in the window. Where a class's only open choices would be harvested, the best of them
   is not: no account of the household harvests it.
4. Its basket's tracking budget has room for it (``indexes``).

An account that may only buy sells nothing; one that may only sell could not buy the alternate: neither harvests. Nor are lots of the
class cash harvested.

Known limits: the part disallowed is taken off each lot of a security in full, as if the lot were sold first.
"""

from datetime import date
from typing import Final

import numpy as np
import polars as pl

from schemas.enums import AccountStatus, TaxStatus, TradeMode
from schemas.landing_columns import CASH
from tasks.core.facts import CLASS, Facts, usd
from tasks.core.rules.book_arrays import starts
from tasks.core.rules.harvest_picks import pick_all, worth_harvest
from tasks.core.rules.hold_ranges import held_ranges
from tasks.core.rules.indexes import siblings, with_pool, within_budget
from tasks.core.rules.purchases import open_choices
from tasks.core.rules.sales import HOLDING, described_lots
from tasks.core.solver import Ints

LOT: Final = ("account_id", "security_id", "lot_id")
CANDIDATE: Final = (*LOT, "loss_usd", "alternate")
_POOL: Final = ("account_id", "pool")
"""Grain of what stands in for one another: a class, or the members of an index."""
HOUSEHOLD_SECURITY: Final = ("household_key", "security_id")


def harvest_candidates(
    accounts: pl.DataFrame,
    lots: pl.DataFrame,
    *,
    facts: Facts,
    securities: pl.DataFrame,
    trade_date: date,
    sold_at_loss: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Lots to be harvested among those of ``accounts``.

    Parameters
    ----------
    accounts
        ``facts.account_parameters``; households whose accounts are all here are looked at whole.
    lots
        ``facts.valued_lots``.
    facts, securities
        The shard's facts and ``facts.priced_securities``.
    trade_date
        Date of the sale.
    sold_at_loss
        ``account_id, security_id`` that the account may not buy because its household sells it at a loss tonight.

    Returns
    -------
    pl.DataFrame
        ``account_id, security_id, lot_id, loss_usd`` (positive, without the disallowed part) and ``alternate``, the security
        to buy; sorted.
    """
    able = (
        accounts.drop("account_row", strict=False)
        .filter(
            "is_harvesting",
            pl.col("tax_status") == TaxStatus.TAXABLE,
            pl.col("status") == AccountStatus.ACTIVE,
            pl.col("trade_mode").is_in([TradeMode.FULL, TradeMode.CASH_FLOW_FIRST]),
        )
        .with_row_index("account_row")
    )
    deep = _past_limits(lots, able)
    if deep.is_empty():
        return deep.select(*LOT, loss_usd=pl.lit(0.0), alternate=pl.lit(None, pl.String))
    free = _free_losses(deep, able, facts, trade_date)
    spare = _above_minimum(free, lots, held_ranges(free.select(HOLDING).unique(), facts, securities, trade_date))
    households = able.select("account_id", "wash_sale_days").join(facts.members, on="account_id")
    classes = spare.group_by(*CLASS, "model_id", "tax_status").agg(
        dear_above_usd=pl.col("value_usd").sum().cast(pl.Float64)
    )
    choices = open_choices(
        siblings(classes, facts),
        facts,
        securities,
        households=households,
        trade_date=trade_date,
        sold_at_loss=sold_at_loss,
    ).join(facts.members, on="account_id")
    losses = with_pool(spare.join(facts.members, on="account_id"), facts)
    found = _with_alternates(losses, with_pool(choices, facts)).select(CANDIDATE).sort(LOT)
    return within_budget(found, accounts, lots, facts)


def household_losses(candidates: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """``account_id, security_id``: every account of a household may not buy what one of them harvests."""
    sold = candidates.select(HOLDING).join(facts.members, on="account_id").select(HOUSEHOLD_SECURITY).unique()
    return facts.members.join(sold, on="household_key").select(HOLDING)


def with_harvest(lots: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    """Lots with ``outright``, what is sold whatever the solver says, and ``outright_reason``: candidates go whole."""
    if candidates.is_empty():
        harvested = lots.with_columns(is_harvested=pl.lit(value=False))
    else:
        flags = candidates.select(*LOT, is_harvested=pl.lit(value=True))
        harvested = lots.join(flags, on=LOT, how="left", maintain_order="left")
    is_harvested = pl.col("is_harvested").fill_null(value=False)
    return harvested.with_columns(
        outright=pl.when(is_harvested).then("quantity").otherwise(pl.lit(0).cast(lots.schema["quantity"])),
        outright_reason=pl.when(is_harvested).then(pl.lit("harvest")),
    ).drop("is_harvested")


def _past_limits(lots: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """Lots whose whole loss is past both limits of their account; the columns of ``lots``."""
    cost = pl.col("unit_cost_usd")
    loss = usd(pl.col("quantity"), cost) - pl.col("value_usd")
    fraction = 1 - pl.col("price_usd").cast(pl.Float64) / cost.cast(pl.Float64)
    limits = accounts.select("account_id", "harvest_min_loss_usd", "harvest_min_loss_fraction")
    losing = (
        lots.filter(cost > pl.col("price_usd"), pl.col("asset_class") != CASH)
        .join(limits, on="account_id")
        .with_columns(loss_usd=loss.cast(pl.Float64), lost_fraction=fraction)
    )
    return losing.filter(_is_worth(losing)).select(lots.columns)


def _is_worth(lots: pl.DataFrame) -> pl.Series:
    """Whether the ``loss_usd`` of each lot, of whose cost it is ``lost_fraction``, is past both limits of its account."""
    names = ("loss_usd", "lost_fraction", "harvest_min_loss_usd", "harvest_min_loss_fraction")
    columns = (lots.select(pl.col(name).cast(pl.Float64)).to_series().to_numpy() for name in names)
    return pl.Series(worth_harvest(*(np.require(each, np.float64, ["C", "W"]) for each in columns)), dtype=pl.Boolean)


def _free_losses(lots: pl.DataFrame, accounts: pl.DataFrame, facts: Facts, trade_date: date) -> pl.DataFrame:
    """Those that nothing locks and whose ``loss_usd``, without what was bought back, is still past the limit."""
    quantity = pl.col("quantity").cast(pl.Float64)
    counted = (quantity - pl.col("replaced_quantity")).clip(lower_bound=0.0)
    loss = -counted * pl.col("unit_usd") * pl.col("gain_fraction")
    price, cost = (pl.col(name).cast(pl.Float64) for name in ("price_usd", "unit_cost_usd"))
    limits = accounts.select("account_id", "harvest_min_loss_usd", "harvest_min_loss_fraction")
    free = (
        described_lots(lots, accounts, facts, trade_date)
        .filter(pl.col("lock").is_null())
        .join(limits, on="account_id")
        .with_columns(loss_usd=loss.round(6), lost_fraction=1 - price / cost)
    )
    return free.filter(_is_worth(free))


def _above_minimum(losses: pl.DataFrame, lots: pl.DataFrame, ranges: pl.DataFrame) -> pl.DataFrame:
    """Losses that may go whole, the deepest first, while the account keeps the least it must hold of the security."""
    least = ranges.filter(pl.col("least").is_not_null()).select(*HOLDING, "least")
    if least.is_empty():
        return losses
    held = lots.join(least, on=HOLDING, how="semi").group_by(HOLDING).agg(held=pl.col("quantity").sum())
    room = (pl.col("held").cast(pl.Float64) - pl.col("least")).fill_null(float("inf"))
    running_total = pl.col("quantity").cast(pl.Float64).cum_sum().over(HOLDING)
    return (
        losses.join(least.join(held, on=HOLDING), on=HOLDING, how="left")
        .sort(*HOLDING, "gain_fraction", "lot_id")
        .filter(running_total <= room)
    )


def _with_alternates(losses: pl.DataFrame, choices: pl.DataFrame) -> pl.DataFrame:
    """Losses whose class has an ``alternate`` among ``choices`` (``household_key`` beside both)."""
    named = pl.concat([losses["security_id"], choices["security_id"]]).unique().sort()
    code = pl.col("security_id").cast(pl.Enum(named)).to_physical().cast(pl.Int64).alias("code")
    classes = losses.select("household_key", *_POOL).unique().sort("household_key", *_POOL).with_row_index("class_row")
    households = classes.select("household_key").unique(maintain_order=True).with_row_index("household_row")
    classes = classes.join(households, on="household_key", maintain_order="left")
    own = classes.drop("household_key")
    lots = losses.join(own, on=_POOL).sort("class_row", "security_id", "lot_id").with_columns(code)
    open_to = (
        choices.join(own.select(*_POOL, "class_row"), on=_POOL)
        .sort("class_row", "position", "security_id")
        .with_columns(code)
    )
    is_picked, alternate = np.ones(lots.height, np.bool_), np.zeros(classes.height, np.int64)
    class_start, lot_start = (starts(households["household_row"], each["household_row"]) for each in (classes, lots))
    choice_start, flags = starts(classes["class_row"], open_to["class_row"]), np.zeros((2, len(named)), np.bool_)
    lot_class, lot_code, choice_code = _ints(lots["class_row"]), _ints(lots["code"]), _ints(open_to["code"])
    pick_all(class_start, lot_start, lot_class, lot_code, choice_start, choice_code, flags, is_picked, alternate)
    bought = classes.select("class_row", alternate=pl.Series(alternate, dtype=pl.Int64))
    names = pl.DataFrame({"alternate": np.arange(len(named)), "name": named}, schema_overrides={"alternate": pl.Int64})
    return (
        lots.filter(pl.Series(is_picked, dtype=pl.Boolean))
        .join(bought, on="class_row")
        .join(names, on="alternate")
        .with_columns(alternate="name")
    )


def _ints(column: pl.Series) -> Ints:
    return np.require(column.cast(pl.Int64).to_numpy(), np.int64, ["C", "W"])
