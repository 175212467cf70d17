"""Models as a night knows them: targets and tolerances, the accounts on each, how far these are off, and which of them trade."""

from typing import Any, Final

import polars as pl

from schemas.enums import Outcome
from schemas.errors import WrongUsage
from schemas.run import GLOBAL_SHARD
from tasks.core.explain import Page, histogram
from tasks.review.book import account_models
from tasks.review.find import newest_runs
from tasks.review.quarantine import find_run
from warehouse.lake import Lake
from warehouse.ledger import RunRow, Runs

DRIFT: Final = ("account_id", "nav_usd", "one_way_drift", "max_abs_drift")
TRADES: Final = ("account_id", "proposal_id", "one_way_drift_after", "gross_value_usd", "est_tax_usd", "est_cost_usd")
TARGET: Final = ("model_id", "asset_class", "target_weight", "absolute_band", "relative_band")


def run_of_models(runs: Runs, run_id: str | None) -> RunRow:
    """The run named, or the newest whole night; of a ledger without one the newest run.

    Raises
    ------
    WrongUsage
        There is none.
    """
    if run_id is None and (newest := newest_runs(runs)):
        return newest[-1]
    return find_run(runs, run_id)


def models_page(lake: Lake, runs: Runs, run_id: str | None = None) -> Page:
    """Every model of a run by name, those that no account is on too: how many classes it has a target for, and how many accounts are on it.

    Raises
    ------
    WrongUsage
        There is no such run.
    """
    run = run_of_models(runs, run_id)
    targets = lake.read("landed_model_targets", run.run_id, GLOBAL_SHARD, TARGET).drop_nulls("model_id")
    classes = targets.group_by("model_id").agg(classes=pl.col("asset_class").n_unique())
    rows = _accounts(lake, run.run_id)
    by_model = rows.drop_nulls("model_id").group_by("model_id")
    added = by_model.agg(
        accounts=pl.len(),
        nav_usd=pl.col("nav_usd").filter(pl.col("nav_usd") > 0).sum(),
        trading=(pl.col("outcome") == Outcome.PROPOSED).sum(),
        traded_usd=pl.col("gross_value_usd").sum(),
        mean_drift=pl.col("one_way_drift").mean(),
        max_drift=pl.col("one_way_drift").max(),
    )
    found = classes.join(added, on="model_id", how="full", coalesce=True).with_columns(
        pl.col("classes", "accounts", "trading").fill_null(0)
    )
    return {
        "run": _run(run),
        "models": found.sort("nav_usd", "model_id", descending=[True, False], nulls_last=True).to_dicts(),
    }


def model_page(lake: Lake, runs: Runs, model_id: str, *, run_id: str | None = None) -> Page:
    """A model in a run, its accounts in ``accounts``: those that trade first, then those that are off most.

    ``drift``: accounts in each bin of ``STEPS``, before and after what is proposed. ``targets``: ``lesser_band`` and ``greater_band`` are how far a class may go by either rule of policy, fractions of NAV; null: no band.

    Raises
    ------
    WrongUsage
        There is no such run, or it has neither a target nor an account of the model.
    """
    run = run_of_models(runs, run_id)
    targets = lake.read("landed_model_targets", run.run_id, GLOBAL_SHARD, TARGET).filter(model_id=model_id)
    accounts = _accounts(lake, run.run_id).filter(pl.col("model_id") == model_id)
    if targets.is_empty() and accounts.is_empty():
        raise WrongUsage(f"run {run.run_id} has no model {model_id}\n\nHint: /models lists those that it has.")
    bands = (pl.col("absolute_band"), pl.col("relative_band") * pl.col("target_weight"))
    after = accounts.select(pl.coalesce("one_way_drift_after", "one_way_drift"))["one_way_drift_after"]
    outcomes = accounts.group_by("outcome").agg(accounts=pl.len()).sort("accounts", "outcome", descending=[True, False])
    securities = lake.read("landed_buy_list", run.run_id, GLOBAL_SHARD).filter(model_id=model_id)
    order = ("is_trading", "one_way_drift", "account_id")
    return {
        "model_id": model_id,
        "run": _run(run),
        "targets": targets.drop("model_id")
        .with_columns(lesser_band=pl.min_horizontal(bands), greater_band=pl.max_horizontal(bands))
        .sort("target_weight", "asset_class", descending=[True, False], nulls_last=True)
        .to_dicts(),
        "buy_list": securities.select("asset_class", "security_id", "rank", "tax_status")
        .sort("asset_class", "rank", "security_id", nulls_last=True)
        .to_dicts(),
        "account_count": accounts.height,
        "nav_usd": accounts.filter(pl.col("nav_usd") > 0)["nav_usd"].sum(),
        "outcomes": dict(outcomes.iter_rows()),
        "drift": {"before": histogram(accounts["one_way_drift"]), "after": histogram(after)},
        "trades": {name: accounts[name].sum() for name in ("gross_value_usd", "est_tax_usd", "est_cost_usd")},
        "accounts": accounts.with_columns(is_trading=pl.col("proposal_id").is_not_null())
        .sort(order, descending=[True, True, False], nulls_last=True)
        .drop("model_id", "is_trading")
        .to_dicts(),
    }


def _accounts(lake: Lake, run_id: str) -> pl.DataFrame:
    """Accounts of a run with the model that governs each, their drift and what is proposed for them."""
    drift = lake.read("account_drift", run_id, columns=DRIFT)
    trades = lake.read("proposals", run_id, columns=TRADES)
    found = account_models(lake, [run_id]).drop("run_id")
    return found.join(drift, on="account_id", how="left").join(trades, on="account_id", how="left")


def _run(run: RunRow) -> dict[str, Any]:
    return {"run_id": run.run_id, "as_of_date": run.as_of_date, "state": str(run.state)}
