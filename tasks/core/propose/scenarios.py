"""The trade-off between tracking and what it costs: the same accounts, the same facts, other parameters.

Each scenario is the accounts' parameters with some of them replaced, solved as a night solves them:

    hold            nothing is traded, though cash may be owed
    cash_flow_only  purchases where there is cash to invest, sales where it is owed, never both
    tax_neutral     no net gain
    half_way        lands half-way between target and the edge of the band
    full            to the targets, whatever tax and costs
    policy          what policy says
    sweep           policy, its tracking penalty times each of ``FACTORS``

All else that policy says holds in every scenario. ``objective_usd`` makes the rows comparable: it weighs each scenario's trades
with policy's own penalty and destination, so that policy's own row is the least but for the rounding to whole units:

    objective = the solver's objective - its tracking term + policy's tracking term
    tracking term = penalty / (2 NAV) * sum over classes and cash of (held after - destination)^2

Of a household that is managed together, the objective is the household's and stands on each of its accounts.

Known limits: where losses offset gains another scenario may come out below policy, which sells no loss for the tax alone (as
long as it does not harvest) however much its gains would be spared. An account that cannot raise the cash it owes has the numbers of ``hold`` in every row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import polars as pl

from schemas.enums import AccountStatus, TradeMode
from schemas.landing_columns import CASH
from schemas.tables import PUBLIC, USD
from tasks.core.facts import CLASS, Facts, account_parameters, exact_sum
from tasks.core.propose.engine import Shard, shard_of, solve_accounts
from tasks.core.propose.orders import order_rows
from tasks.core.propose.proposals import proposal_rows
from tasks.core.propose.solved import Solved
from tasks.core.solver import CANNOT_RAISE_CASH


class Scenario(StrEnum):
    """Whose parameters a row of the table ``frontier`` was solved under."""

    HOLD = "hold"
    CASH_FLOW_ONLY = "cash_flow_only"
    TAX_NEUTRAL = "tax_neutral"
    HALF_WAY = "half_way"
    POLICY = "policy"
    FULL = "full"
    SWEEP = "sweep"


FULL_PENALTY: Final = 1e4
"""Half a basis point of NAV off target costs as much as a tax of half of what is sold."""
FACTORS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
GRAIN: Final = ("account_id", "scenario", "tracking_penalty")
NUMBERS: Final = (
    "account_id",
    "one_way_drift_after",
    "est_tax_usd",
    "est_cost_usd",
    "turnover",
    "order_count",
    "objective_usd",
    "content_hash",
)
"""What a scenario came to for an account; ``content_hash`` is that of its orders, empty where there are none."""

Parameters = Mapping[str, pl.Expr]


def _one_way() -> pl.Expr:
    """The trade mode that only moves cash the way it has to go; policy's own where that is such a mode."""
    is_one_way = pl.col("trade_mode").is_in([TradeMode.BUY_ONLY, TradeMode.SELL_ONLY])
    needed = pl.when("is_owing").then(pl.lit(str(TradeMode.SELL_ONLY)))
    return pl.when(is_one_way).then("trade_mode").otherwise(needed.otherwise(pl.lit(str(TradeMode.BUY_ONLY))))


SOLVED: Final[tuple[tuple[Scenario, Parameters], ...]] = (
    (Scenario.CASH_FLOW_ONLY, {"trade_mode": _one_way()}),
    (Scenario.TAX_NEUTRAL, {"max_realized_gain_usd": pl.lit(0.0)}),
    (Scenario.HALF_WAY, {"trade_to": pl.lit(0.5)}),
    (
        Scenario.FULL,
        {"tracking_penalty": pl.max_horizontal(FULL_PENALTY, "tracking_penalty"), "trade_to": pl.lit(0.0)},
    ),
    *((Scenario.SWEEP, {"tracking_penalty": pl.col("tracking_penalty") * factor}) for factor in FACTORS),
)
"""The scenarios beside ``hold`` and ``policy``, and what each replaces."""


@dataclass(frozen=True)
class World:
    """What is the same in every scenario, read and derived once."""

    shard: Shard
    by_account: pl.DataFrame
    run_id: str

    def solve(self, accounts: pl.DataFrame) -> Solved:
        """The accounts' best trades under the parameters that stand in their rows."""
        return solve_accounts(accounts, self.shard)


def frontier(
    facts: Facts, drift: pl.DataFrame, by_account: pl.DataFrame, wanted: pl.Series, *, run_id: str
) -> pl.DataFrame:
    """Rows of the table ``frontier`` of the accounts ``wanted``; none for those that may not be traded at all; sorted.

    Parameters
    ----------
    facts
        Facts of the accounts' households at least.
    drift, by_account
        Tables ``drift`` and ``account_drift``.
    wanted
        Account ids.
    run_id
        Of the run whose facts these are.
    """
    accounts = solvable(facts, by_account, wanted)
    world = World(shard_of(facts, drift, by_account), by_account, run_id)
    policy = world.solve(accounts)
    idle = _idle(policy, world)
    chosen = _score(policy, policy, idle, world)
    solved = ((name, world.solve(accounts.with_columns(**new))) for name, new in SOLVED)
    scored = ((name, _score(each, policy, idle, world)) for name, each in solved)
    rows = [(Scenario.HOLD, _with_parameters(policy, idle)), (Scenario.POLICY, chosen), *scored]
    return (
        pl.concat([each.with_columns(scenario=pl.lit(str(name))) for name, each in rows])
        .join(chosen.select("account_id", chosen="content_hash"), on="account_id")
        .with_columns(is_chosen=pl.col("content_hash") == pl.col("chosen"))
        .filter(pl.col("account_id").is_in(wanted.implode()))
        .select(pl.col(name).cast(dtype) for name, dtype in PUBLIC["frontier"].items())
        .sort(GRAIN)
    )


def solvable(facts: Facts, by_account: pl.DataFrame, wanted: pl.Series) -> pl.DataFrame:
    """Parameters and NAV of the accounts that may be traded: those wanted and, in a managed household, all its accounts."""
    managed = facts.households.select(household_key=pl.format("h {}", "household_id"))
    models, group = facts.model_targets["model_id"].unique(), "household_key"
    named = (
        account_parameters(facts)
        .join(by_account.select("account_id", "nav_usd"), on="account_id")
        .join(facts.members.with_columns(landed=pl.len().over(group)), on="account_id")
        .with_columns(
            is_wanted=pl.col("account_id").is_in(wanted.implode()),
            is_managed=pl.col(group).is_in(managed[group].implode()),
            is_open=(pl.col("status") == AccountStatus.ACTIVE)
            & pl.col("model_id").is_in(models.implode())
            & (pl.col("nav_usd") > 0),
        )
    )
    alone = ~pl.col("is_managed") & pl.col("is_wanted") & pl.col("is_open")
    is_complete = pl.len().over(group) == pl.col("landed")
    jointly = pl.col("is_managed") & pl.col("is_wanted").any().over(group) & pl.col("is_open").any().over(group)
    return named.filter(alone | (jointly & is_complete)).drop(group, "landed", "is_wanted", "is_managed", "is_open")


def _idle(policy: Solved, world: World) -> pl.DataFrame:
    """Columns ``NUMBERS`` of each account where nothing is traded."""
    before = world.by_account.select("account_id", one_way_drift_after="one_way_drift")
    nothing = {name: pl.lit(0) for name in ("est_tax_usd", "est_cost_usd", "turnover", "order_count")}
    return (
        idle_tracking(policy)
        .join(before, on="account_id")
        .with_columns(**nothing, objective_usd="tracking_usd", content_hash=pl.lit(""))
        .select(_typed_numbers())
    )


def _score(solved: Solved, policy: Solved, idle: pl.DataFrame, world: World) -> pl.DataFrame:
    """A scenario's parameters and ``NUMBERS``; an account that it leaves alone has those of ``idle``."""
    orders, relief = order_rows(solved, world.run_id)
    rows = proposal_rows(solved, orders, relief, world.by_account).with_columns(objective_usd=pl.lit(None, pl.Float64))
    traded = rows.select(_typed_numbers())
    counted = pl.concat([traded, idle.join(traded, on="account_id", how="anti")])
    reached = (
        solved.accounts.filter(pl.col("status") != CANNOT_RAISE_CASH)
        .join(_tracking(solved, solved).rename({"tracking_usd": "own_tracking_usd"}), on="account_id")
        .join(_tracking(solved, policy), on="account_id")
        .select("account_id", reached=pl.col("objective_usd") - pl.col("own_tracking_usd") + pl.col("tracking_usd"))
    )
    scored = counted.join(reached, on="account_id", how="left")
    scored = scored.with_columns(objective_usd=pl.coalesce("reached", "objective_usd")).drop("reached")
    return _with_parameters(solved, scored)


def _with_parameters(solved: Solved, numbers: pl.DataFrame) -> pl.DataFrame:
    return solved.accounts.select("account_id", "tracking_penalty", "trade_to").join(numbers, on="account_id")


def _typed_numbers() -> list[pl.Expr]:
    return [pl.col(name).cast(PUBLIC["frontier"].get(name, pl.String())) for name in NUMBERS]


def idle_tracking(solved: Solved) -> pl.DataFrame:
    """``account_id, tracking_usd``: the tracking term where nothing is traded, by the penalty and destinations of ``solved``."""
    held = Solved(
        solved.accounts.with_columns(cash_after=pl.col("cash_usd").cast(pl.Float64), fund_left_usd="fund_usd"),
        solved.classes.with_columns(after_usd=pl.col("value_usd").cast(pl.Float64)),
        solved.lots,
    )
    return _tracking(held, solved)


def _tracking(held: Solved, aims: Solved) -> pl.DataFrame:
    """``account_id, tracking_usd``: the tracking term of what is held after ``held``, by the penalty and destinations of ``aims``.

    That of a household managed together is over all its accounts and stands on each of them, as the solver's objective does.
    """
    nav = pl.col("governed_nav_usd").cast(pl.Float64)
    owners = aims.accounts.select("account_id", owner=pl.coalesce("managed_household_id", "account_id"))
    goals = aims.accounts.select("account_id", "cash_target_usd").join(owners, on="account_id")
    cash = (
        held.accounts.select("account_id", held_usd=pl.col("cash_after") + pl.col("fund_left_usd"))
        .join(goals, on="account_id")
        .select("owner", "held_usd", asset_class=pl.lit(CASH), aim_usd="cash_target_usd")
    )
    classes = (
        held.classes.select(*CLASS, held_usd="after_usd")
        .join(aims.classes.select(*CLASS, aim_usd="destination_usd"), on=CLASS)
        .join(owners, on="account_id")
        .select("owner", "held_usd", "asset_class", "aim_usd")
    )
    terms = aims.accounts.select("governed_nav_usd", "tracking_penalty", owner=owners["owner"]).unique("owner")
    off = (pl.col("held_usd").cast(USD).sum().cast(pl.Float64) - pl.col("aim_usd").first()) * (1.0 / nav.first())
    return (
        pl.concat([cash, classes])
        .join(terms, on="owner")
        .group_by("owner", "asset_class")
        .agg(off=off)
        .group_by("owner")
        .agg(squares=exact_sum(pl.col("off") ** 2))
        .join(terms, on="owner")
        .join(owners, on="owner")
        .select("account_id", tracking_usd=pl.col("tracking_penalty") / 2 * nav * pl.col("squares"))
    )
