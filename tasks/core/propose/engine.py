"""All accounts of a shard to be traded, solved: alone or with their household, until no trade of one spoils another's.

1. Accounts managed alone and managed households are compiled and solved.
2. Cash flow first: an account (or household) of that mode is solved with purchases only where it has cash and with sales only
   where it owes some; where that leaves a class out of its band, it is solved in full.
3. The wash-sale rule among tonight's own orders: where an account would buy what its household sells at a loss tonight, the
   sale stays and the purchase yields to the next alternate. The accounts concerned are solved again with all that their household
   sells at a loss forbidden, until there is no such pair; each round forbids at least one purchase for good, so it ends.

An answer depends on the account's household and on nothing else in the shard.

Known limits: the purchases forbidden in step 3 stay forbidden when a later round no longer makes the sale.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from schemas.enums import AccountStatus, Side, TradeMode
from schemas.landing import CASH
from tasks.core.drift import WEIGHT_TOLERANCE, household_drift
from tasks.core.facts import CLASS, Facts, account_parameters, priced_securities, valued_lots
from tasks.core.propose.solve import solve
from tasks.core.propose.solved import GROUP, Solved
from tasks.core.rules import Problem, compile_book, compile_households, sold_tonight, wash_conflicts
from tasks.core.solver import CANNOT_RAISE_CASH
from tasks.core.tax import is_taxed

HOUSEHOLD: Final = "managed_household_id"
PAIR: Final = {"account_id": pl.String, "security_id": pl.String}
ORDER_NAME: Final = pl.concat_str("account_id", "security_id", separator="|")


@dataclass(frozen=True)
class Shard:
    """What the accounts of a shard are solved from. ``drift``: by class, with ``nav_usd``; ``lots``: ``facts.valued_lots``."""

    facts: Facts
    drift: pl.DataFrame
    household_drift: pl.DataFrame
    lots: pl.DataFrame
    securities: pl.DataFrame


def shard_of(facts: Facts, drift: pl.DataFrame, by_account: pl.DataFrame) -> Shard:
    """A shard from its facts and the tables ``drift`` and ``account_drift``."""
    securities = priced_securities(facts)
    drift = drift.drop("nav_usd", strict=False).join(by_account.select("account_id", "nav_usd"), on="account_id")
    households = household_drift(drift, account_parameters(facts), facts.model_targets)
    return Shard(facts, drift, households, valued_lots(facts, securities), securities)


def solve_accounts(accounts: pl.DataFrame, shard: Shard) -> Solved:
    """Best trades of ``accounts``: ``facts.account_parameters`` with ``nav_usd``, and ``is_locked`` where one only counts in its household.

    A locked account comes back without trades.
    """
    is_locked = pl.col("is_locked") if "is_locked" in accounts.columns else pl.lit(value=False)
    accounts = accounts.with_columns(
        status=pl.when(is_locked).then(pl.lit(str(AccountStatus.FROZEN))).otherwise("status")
    ).drop("is_locked", strict=False)
    forbidden = pl.DataFrame(schema=PAIR)
    found = _cash_flow_first(accounts, shard, forbidden)
    while True:
        conflicts, sold = _conflicts(found, shard.facts.members)
        if conflicts.is_empty():
            return found
        groups = _groups_of(accounts, conflicts["account_id"])
        again = accounts.filter(GROUP.is_in(groups.implode()))
        forbidden = pl.concat([forbidden, sold]).unique()
        found = merged_by_account(found, _cash_flow_first(again, shard, forbidden))


def _groups_of(accounts: pl.DataFrame, account_ids: pl.Series) -> pl.Series:
    return accounts.filter(pl.col("account_id").is_in(account_ids.implode())).select(group=GROUP)["group"].unique()


def _cash_flow_first(accounts: pl.DataFrame, shard: Shard, forbidden: pl.DataFrame) -> Solved:
    """Steps 1 and 2."""
    is_first = pl.col("trade_mode") == TradeMode.CASH_FLOW_FIRST
    first = accounts.filter(is_first)
    rest = accounts.filter(~is_first)
    if first.is_empty():
        return _solve_alone_and_together(rest, shard, forbidden)
    tried = _solve_alone_and_together(_one_way(first, shard.lots), shard, forbidden)
    is_enough = GROUP.is_in(_bring_into_band(tried).implode())
    full = first.filter(~is_enough).with_columns(trade_mode=pl.lit(str(TradeMode.FULL)))
    solved = _solve_alone_and_together(pl.concat([rest, full]), shard, forbidden)
    enough = first.filter(is_enough).select("account_id")
    kept = (each.join(enough, on="account_id", how="semi") for each in (tried.accounts, tried.classes, tried.lots))
    return merged_by_account(solved, Solved(*kept))


def _one_way(accounts: pl.DataFrame, lots: pl.DataFrame) -> pl.DataFrame:
    """Accounts in the mode of their cash: sales only where the account (or household) owes more than its funds are worth."""
    funds = lots.filter(pl.col("asset_class") == CASH).group_by("account_id").agg(fund_value=pl.col("value_usd").sum())
    cash = (pl.col("cash_usd") + pl.col("fund_value").fill_null(0)).sum().over(GROUP).cast(pl.Float64)
    mode = pl.when(cash < -pl.col("cash_tolerance_usd")).then(pl.lit(str(TradeMode.SELL_ONLY)))
    return (
        accounts.join(funds, on="account_id", how="left", maintain_order="left")
        .with_columns(trade_mode=mode.otherwise(pl.lit(str(TradeMode.BUY_ONLY))))
        .drop("fund_value")
    )


def _bring_into_band(solved: Solved) -> pl.Series:
    """Accounts (or households) whose trades leave no class, nor cash, out of its band."""
    nav = solved.accounts.select("account_id", "governed_nav_usd", "status", group=GROUP)
    weight = pl.col("governed_after_usd") * (1.0 / pl.col("governed_nav_usd").cast(pl.Float64))
    off = (weight - pl.col("target_weight")).abs() - pl.col("band")
    classes = solved.classes.join(nav, on="account_id")
    out = classes.filter((off > WEIGHT_TOLERANCE).fill_null(value=False))["group"]
    stuck = nav.filter(pl.col("status") == CANNOT_RAISE_CASH)["group"]
    both = pl.concat([out, stuck]).unique()
    return nav.filter(~pl.col("group").is_in(both.implode()))["group"].unique()


def _solve_alone_and_together(accounts: pl.DataFrame, shard: Shard, forbidden: pl.DataFrame) -> Solved:
    """Accounts managed alone and those of managed households, compiled apart and solved."""
    is_alone = pl.col(HOUSEHOLD).is_null()
    alone, together = accounts.filter(is_alone), accounts.filter(~is_alone)
    found = solve(_problem(alone, shard, forbidden))
    if together.is_empty():
        return found
    household = compile_households(
        together,
        shard.household_drift.filter(pl.col("household_id").is_in(together[HOUSEHOLD].unique().implode())),
        shard.lots,
        facts=shard.facts,
        securities=shard.securities,
        trade_date=shard.facts.trade_date,
        sold_at_loss=forbidden,
    )
    return merged_by_account(found, solve(household))


def _problem(alone: pl.DataFrame, shard: Shard, forbidden: pl.DataFrame) -> Problem:
    return compile_book(
        alone,
        shard.drift,
        shard.lots,
        facts=shard.facts,
        securities=shard.securities,
        trade_date=shard.facts.trade_date,
        sold_at_loss=forbidden,
    )


def merged_by_account(found: Solved, again: Solved) -> Solved:
    """``found`` with the accounts of ``again`` added or in the place of their former answers, sorted by account and class."""
    newer = again.accounts.select("account_id")

    def put(old: pl.DataFrame, new: pl.DataFrame, *order: str) -> pl.DataFrame:
        rest = old.join(newer, on="account_id", how="anti")
        return pl.concat([rest, new], how="diagonal").sort(order)

    return Solved(
        put(found.accounts, again.accounts, "account_id"),
        put(found.classes, again.classes, *CLASS),
        put(found.lots, again.lots, *CLASS, "cost", "security_id", "lot_id"),
    )


def _conflicts(solved: Solved, members: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Purchases that must yield to a sale at a loss of the same household tonight, and all that households sell at a loss."""
    taxed = solved.accounts.filter(is_taxed())["account_id"]
    sides = ORDER_NAME.alias("order_id"), "account_id", "security_id"
    sales = solved.lots.filter((pl.col("sold") > 0) & (pl.col("gain") < 0)).select(
        *sides, gain_usd="gain", side=pl.lit(str(Side.SELL))
    )
    buys = solved.classes.filter(pl.col("bought") > 0).select("account_id", security_id="buy_security_id")
    buys = buys.select(*sides, side=pl.lit(str(Side.BUY)))
    orders = pl.concat([sales.select(buys.columns).unique(), buys])
    relief = sales.select("order_id", "gain_usd")
    conflicts = wash_conflicts(orders, relief, members, taxed=taxed)
    if conflicts.is_empty():
        return conflicts, conflicts
    return conflicts, sold_tonight(orders, relief, members, taxed=taxed).select(PAIR.keys())
