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

from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from schemas.enums import AccountStatus, Side, TradeMode
from schemas.landing_columns import CASH
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

    def of_households(self, accounts: pl.DataFrame) -> "Shard":
        """What the households of ``accounts`` are solved from."""
        facts = self.facts.of_households(accounts["account_id"])
        return replace(self, facts=facts, lots=self.lots.join(facts.members, on="account_id", how="semi"))

    def lots_of(self, accounts: pl.DataFrame) -> pl.DataFrame:
        """The lots of ``accounts``, in the order in which they stand."""
        return self.lots.join(accounts, on="account_id", how="semi", maintain_order="left")


def shard_of(facts: Facts, drift: pl.DataFrame, by_account: pl.DataFrame) -> Shard:
    """A shard from its facts and the tables ``drift`` and ``account_drift``."""
    securities = priced_securities(facts)
    drift = drift.drop("nav_usd", strict=False).join(by_account.select("account_id", "nav_usd"), on="account_id")
    households = household_drift(drift, account_parameters(facts), facts.model_targets)
    return Shard(facts, drift, households, valued_lots(facts, securities), securities)


def solve_accounts(accounts: pl.DataFrame, shard: Shard) -> Solved:
    """Best trades of ``accounts``: ``facts.account_parameters`` with ``nav_usd``, and ``is_locked`` where one only counts in its household.

    A locked account comes back without trades. Rows are sorted by account and class.
    """
    is_locked = pl.col("is_locked") if "is_locked" in accounts.columns else pl.lit(value=False)
    accounts = accounts.with_columns(
        status=pl.when(is_locked).then(pl.lit(str(AccountStatus.FROZEN))).otherwise("status")
    ).drop("is_locked", strict=False)
    members, taxed = shard.facts.members, accounts.filter(is_taxed())["account_id"]
    forbidden = pl.DataFrame(schema=PAIR)
    found = _cash_flow_first(accounts, shard, forbidden)
    orders, losses = _orders_of(found), _losses_of(found)
    while not (conflicts := wash_conflicts(orders, losses, members, taxed=taxed)).is_empty():
        sold = sold_tonight(orders, losses, members, taxed=taxed)
        forbidden = pl.concat([forbidden, sold.select(PAIR.keys())]).unique()
        again = accounts.filter(GROUP.is_in(_groups_of(accounts, conflicts["account_id"]).implode()))
        shard = shard.of_households(again)
        newer = _cash_flow_first(again, shard, forbidden)
        found = [*found, *newer]
        orders = pl.concat([orders.join(again, on="account_id", how="anti"), _orders_of(newer)])
        losses = pl.concat([losses.join(again, on="account_id", how="anti"), _losses_of(newer)])
    return _newest(found)


def _groups_of(accounts: pl.DataFrame, account_ids: pl.Series) -> pl.Series:
    return accounts.filter(pl.col("account_id").is_in(account_ids.implode())).select(group=GROUP)["group"].unique()


def _cash_flow_first(accounts: pl.DataFrame, shard: Shard, forbidden: pl.DataFrame) -> list[Solved]:
    """Steps 1 and 2: each account is in one of the parts."""
    is_first = pl.col("trade_mode") == TradeMode.CASH_FLOW_FIRST
    first = accounts.filter(is_first)
    rest = accounts.filter(~is_first)
    if first.is_empty():
        return _solve_alone_and_together(rest, shard, forbidden)
    tried = _solve_alone_and_together(_one_way(first, shard.lots), shard, forbidden)
    enough = pl.concat([_brought_into_band(part) for part in tried]).implode()
    full = first.filter(~GROUP.is_in(enough)).with_columns(trade_mode=pl.lit(str(TradeMode.FULL)))
    solved = _solve_alone_and_together(pl.concat([rest, full]), shard, forbidden)
    return [*(_without(part, full) for part in tried), *solved]


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


def _brought_into_band(solved: Solved) -> pl.Series:
    """Accounts (or households) whose trades leave no class, nor cash, out of its band."""
    nav = solved.accounts.select("account_id", "governed_nav_usd", "status", group=GROUP)
    weight = pl.col("governed_after_usd") * (1.0 / pl.col("governed_nav_usd").cast(pl.Float64))
    off = (weight - pl.col("target_weight")).abs() - pl.col("band")
    classes = solved.classes.join(nav, on="account_id")
    out = classes.filter((off > WEIGHT_TOLERANCE).fill_null(value=False))["group"]
    stuck = nav.filter(pl.col("status") == CANNOT_RAISE_CASH)["group"]
    both = pl.concat([out, stuck]).unique()
    return nav.filter(~pl.col("group").is_in(both.implode()))["group"].unique()


def _solve_alone_and_together(accounts: pl.DataFrame, shard: Shard, forbidden: pl.DataFrame) -> list[Solved]:
    """Accounts managed alone and those of managed households, compiled apart and solved: a part of each."""
    is_alone = pl.col(HOUSEHOLD).is_null()
    alone, together = accounts.filter(is_alone), accounts.filter(~is_alone)
    found = solve(_problem(alone, shard, forbidden))
    if together.is_empty():
        return [found]
    household = compile_households(
        together,
        shard.household_drift.filter(pl.col("household_id").is_in(together[HOUSEHOLD].unique().implode())),
        shard.lots_of(together),
        facts=shard.facts,
        securities=shard.securities,
        trade_date=shard.facts.trade_date,
        sold_at_loss=forbidden,
    )
    return [found, solve(household)]


def _problem(alone: pl.DataFrame, shard: Shard, forbidden: pl.DataFrame) -> Problem:
    return compile_book(
        alone,
        shard.drift,
        shard.lots_of(alone),
        facts=shard.facts,
        securities=shard.securities,
        trade_date=shard.facts.trade_date,
        sold_at_loss=forbidden,
    )


def _newest(parts: list[Solved]) -> Solved:
    """Every account as it is in the last part that has it, sorted by account and class."""
    kept = [parts[-1]]
    newer = parts[-1].accounts.select("account_id")
    for part in reversed(parts[:-1]):
        kept.append(_without(part, newer))
        newer = pl.concat([newer, part.accounts.select("account_id")])
    accounts, classes, lots = (
        pl.concat(frames, how="diagonal")
        for frames in zip(*((part.accounts, part.classes, part.lots) for part in kept), strict=True)
    )
    return Solved(accounts.sort("account_id"), classes.sort(CLASS), lots.sort(*CLASS, "cost", "security_id", "lot_id"))


def _without(solved: Solved, accounts: pl.DataFrame) -> Solved:
    """What is solved but for ``accounts``."""
    if solved.accounts.join(accounts, on="account_id", how="semi").is_empty():
        return solved
    frames = (solved.accounts, solved.classes, solved.lots)
    return Solved(*(frame.join(accounts, on="account_id", how="anti") for frame in frames))


def _losses_of(parts: list[Solved]) -> pl.DataFrame:
    """``order_id, account_id, security_id, gain_usd`` of lots sold below what they cost."""
    lots = pl.concat([part.lots.select(*PAIR, "sold", gain_usd="gain") for part in parts])
    return lots.filter((pl.col("sold") > 0) & (pl.col("gain_usd") < 0)).select(
        ORDER_NAME.alias("order_id"), *PAIR, "gain_usd"
    )


def _orders_of(parts: list[Solved]) -> pl.DataFrame:
    """``order_id, account_id, security_id, side`` of sales at a loss and of purchases."""
    classes = pl.concat([part.classes.select("account_id", "bought", security_id="buy_security_id") for part in parts])
    buys = classes.filter(pl.col("bought") > 0).select(ORDER_NAME.alias("order_id"), *PAIR, side=pl.lit(str(Side.BUY)))
    sales = _losses_of(parts).select("order_id", *PAIR, side=pl.lit(str(Side.SELL)))
    return pl.concat([sales.unique(), buys])
