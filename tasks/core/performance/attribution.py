"""Why an account earned something else than its model: drift, trading, tax and the rest, class by class.

For a night from ``then`` to ``now``, with D what earned the night's return (``returns``), w the weights and t the targets before it:

    earned of a class    p_c = (value now - value then - bought + sold - in kind) / D          sum over classes: the night's return
    model's of a class   m_c = price tonight / price then - 1 of the model's first choice for it; what the account's own earned where that is not known
    the model            M = sum of t_c m_c, with the same weights as its targets and the same flows at the same moments
    tracking difference  sum of p_c + tax - M = sum of p_c + tax_c - w_c M - t_c (m_c - M)      after tax: a gain that is realized costs its tax
      allocation         (w_c - t_c)(m_c - M)                                                  drift: more or less of a class than the model has
      trading cost       - half the spread on what was traded / D
      tax                - tax accrued / D, on the classes whose gains made it
      residual           what is left: other securities than the first choice, dividends, fees, and prices of trades that were not tonight's

Weights sum to 1, and targets are made to (the contract lets them be a millionth off). The first three are computed on their own and the residual is the rest of each class, so that all sum to the difference. Source of the
allocation: Brinson and Fachler (1985, JPM 11).

Known limits: a security that changed its class between the nights moves its value from one residual to another. What reserve and cash on its way cost is
allocation: the model has none of it. Nights link by themselves: effects of several nights are summed, not compounded.
"""

from typing import Final

import polars as pl

from schemas.landing_columns import CASH
from schemas.tables import USD
from tasks.core.facts import CLASS, exact_sum
from tasks.core.gate import looks_split

EFFECTS: Final = ("allocation", "trading_cost", "tax", "residual")
"""What the tracking difference is made of; fractions of what earned the night's return."""
CLASSES: Final[dict[str, pl.DataType]] = {
    "account_id": pl.String(),
    "asset_class": pl.String(),
    "then_usd": pl.Float64(),
    "weight": pl.Float64(),
    "target": pl.Float64(),
    "earned": pl.Float64(),
    "model_earned": pl.Float64(),
    "cost": pl.Float64(),
    "gain_usd": pl.Float64(),
}
"""Grain: account and class, of the night before or tonight."""


def earned_by_class(
    accounts: pl.DataFrame, before: pl.DataFrame, now: pl.DataFrame, trades: pl.DataFrame, in_kind: pl.DataFrame
) -> pl.DataFrame:
    """``CLASSES`` without ``model_earned``.

    Parameters
    ----------
    accounts
        ``account_id, then_usd, base_usd`` (what earned the return, above 0), ``flow_usd``.
    before
        ``account_id, asset_class, value_usd, target_weight`` of the night before.
    now
        ``account_id, asset_class, value_usd`` tonight.
    trades
        ``night.MOVES`` since.
    in_kind
        ``flows.IN_KIND`` since.
    """
    by_class = trades.group_by(CLASS).agg(
        bought_usd=pl.col("paid_usd").sum(),
        cost_usd=pl.col("cost_usd").round(6).cast(USD).sum().cast(pl.Float64),
        gain_usd=pl.col("gain_usd").round(6).cast(USD).sum().cast(pl.Float64),
    )
    sums = (
        by_class.group_by("account_id")
        .agg(paid_usd=pl.col("bought_usd").sum())
        .join(
            in_kind.group_by("account_id").agg(kind_usd=pl.col("in_kind_usd").round(6).cast(USD).sum()),
            on="account_id",
            how="full",
            coalesce=True,
        )
    )
    own_cash = accounts.select("account_id", asset_class=pl.lit(CASH))
    rows = (
        before.select(*CLASS, was_usd="value_usd", target="target_weight")
        .join(now.select(*CLASS, "value_usd"), on=CLASS, how="full", coalesce=True)
        .join(by_class, on=CLASS, how="full", coalesce=True)
        .join(in_kind, on=CLASS, how="full", coalesce=True)
        .join(own_cash, on=CLASS, how="full", coalesce=True)
        .join(accounts, on="account_id")
        .join(sums, on="account_id", how="left")
        .with_columns(
            pl.col("was_usd", "value_usd", "bought_usd", "paid_usd", "kind_usd", "in_kind_usd").fill_null(0).cast(USD),
            pl.col("target", "cost_usd", "gain_usd").fill_null(0.0),
        )
    )
    is_cash = pl.col("asset_class") == CASH
    nothing = pl.lit(0, USD)
    profit = (
        pl.col("value_usd")
        - pl.col("was_usd")
        - pl.col("bought_usd")
        - pl.col("in_kind_usd")
        + pl.when(is_cash).then(pl.col("paid_usd") + pl.col("kind_usd")).otherwise(nothing)
    ).cast(pl.Float64) - pl.when(is_cash).then(pl.col("flow_usd")).otherwise(0.0)
    return rows.select(
        *CLASS,
        then_usd=pl.col("was_usd").cast(pl.Float64),
        weight=pl.col("was_usd").cast(pl.Float64) * (1 / pl.col("then_usd")),
        target=pl.col("target") * (1 / exact_sum(pl.col("target")).over("account_id")),
        earned=profit * (1 / pl.col("base_usd")),
        cost=-pl.col("cost_usd") * (1 / pl.col("base_usd")),
        gain_usd="gain_usd",
    ).sort(CLASS)


def model_class_returns(targets: pl.DataFrame, then: pl.DataFrame, now: pl.DataFrame) -> pl.DataFrame:
    """``model_id, asset_class, listed_return`` of each class whose first choice has a price on both nights; cash that has no choice earns 0.

    Parameters
    ----------
    targets
        ``model_id, asset_class, security_id``: the first choice.
    then, now
        ``security_id, unit_usd``. A price that moved as after a split that nobody told of says nothing.
    """
    both = then.rename({"unit_usd": "then_usd"}).join(now, on="security_id")
    is_known = (pl.col("then_usd") > 0) & ~looks_split(pl.col("unit_usd"), pl.col("then_usd"))
    known = both.filter(is_known).select("security_id", listed_return=pl.col("unit_usd") / pl.col("then_usd") - 1)
    rows = targets.join(known, on="security_id", how="left")
    is_idle = (pl.col("asset_class") == CASH) & pl.col("security_id").is_null()
    return rows.select(
        "model_id", "asset_class", listed_return=pl.when(is_idle).then(0.0).otherwise("listed_return")
    ).drop_nulls()


def with_model(classes: pl.DataFrame, models: pl.DataFrame, listed: pl.DataFrame) -> pl.DataFrame:
    """``classes`` with ``model_earned``: the model's return of each class; ``models``: ``account_id, model_id`` of the night before."""
    own = pl.when(pl.col("then_usd") > 0).then(pl.col("earned") * (1 / pl.col("weight")))
    return (
        classes.join(models, on="account_id", how="left", maintain_order="left")
        .join(listed, on=["model_id", "asset_class"], how="left", maintain_order="left")
        .with_columns(model_earned=pl.coalesce("listed_return", own, pl.lit(0.0)))
        .select(CLASSES.keys())
    )


def attribution(classes: pl.DataFrame, taxes: pl.DataFrame) -> pl.DataFrame:
    """``account_id, asset_class``, ``EFFECTS`` and ``tracking_difference`` of each class; sorted.

    Parameters
    ----------
    classes
        ``CLASSES``.
    taxes
        ``account_id, tax``: return of the tax accrued, 0 or below 0 where some is owed.
    """
    tracked = (
        classes.join(taxes, on="account_id", how="left", maintain_order="left")
        .with_columns(pl.col("tax").fill_null(0.0))
        .with_columns(tax=_tax_by_class())
        .with_columns(model=exact_sum(pl.col("target") * pl.col("model_earned")).over("account_id"))
        .with_columns(beyond=pl.col("model_earned") - pl.col("model"))
        .with_columns(
            tracking_difference=pl.col("earned")
            + pl.col("tax")
            - pl.col("weight") * pl.col("model")
            - pl.col("target") * pl.col("beyond"),
            allocation=(pl.col("weight") - pl.col("target")) * pl.col("beyond"),
            trading_cost="cost",
        )
    )
    rest = pl.col("tracking_difference") - pl.col("allocation") - pl.col("trading_cost") - pl.col("tax")
    return tracked.with_columns(residual=rest).select(*CLASS, *EFFECTS, "tracking_difference").sort(CLASS)


def _tax_by_class() -> pl.Expr:
    """The account's tax on the classes whose realized gains have its sign, by their size; on cash where none is known to have."""
    made = (
        pl.when(pl.col("tax") < 0)
        .then(pl.col("gain_usd").clip(lower_bound=0.0))
        .otherwise((-pl.col("gain_usd")).clip(lower_bound=0.0))
    )
    total = made.sum().over("account_id")
    on_cash = pl.when(pl.col("asset_class") == CASH).then(1.0).otherwise(0.0)
    return pl.col("tax") * pl.when(total > 0).then(made * (1 / total)).otherwise(on_cash)
