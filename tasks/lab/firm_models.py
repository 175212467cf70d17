"""The firm's models and the returns of its asset classes, as its own nights have them.

A class's return from one night to the next is the mean of those of its first choices on the buy lists, each price taken into the shares and identifiers of the later night.

Known limits: prices are those of securities, so that dividends are not in them; a security counts from the night on which it has a price.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl

from schemas.errors import WrongUsage
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import Settings
from tasks.core.gate import accepted_rows
from tasks.core.lab import MarketHistory
from tasks.known import landed_rows, prices_of, prices_then
from tasks.runtime import Stores, open_ledger
from warehouse.lake import open_lake
from warehouse.ledger import RunRow, Runs

MOST_NIGHTS: Final = 2_520
"""Nights that are read, the newest: ten years of them."""
FEWEST_NIGHTS: Final = 60
DAYS_OF_A_YEAR: Final = 365.25


@dataclass(frozen=True)
class FirmModels:
    """``targets``: ``model_id, asset_class, target_weight``; ``choices``: ``asset_class, security_id``, the first of buy lists; of the night ``as_of``."""

    run_id: str
    as_of: date
    targets: pl.DataFrame
    choices: pl.DataFrame


def firm_models(settings: Settings) -> FirmModels | None:
    """The models of the newest whole night; null where the home has none."""
    if not settings.ledger_url and not (settings.home / "ledger.sqlite").is_file():
        return None
    with closing(open_ledger(settings)) as ledger:
        row = ledger.runs.latest_full_run(date.max)
    if row is None:
        return None
    lake, run = open_lake(settings), _run(row)
    broken = lake.read("quarantine", row.run_id, GLOBAL_SHARD, ("table_name", "landed_row"))
    landed = landed_rows(lake, run, GLOBAL_SHARD, is_typed_only=True)
    good = {table: accepted_rows(table, landed[table], broken) for table in ("model_targets", "buy_list")}
    first = good["buy_list"].filter(pl.col("rank") == pl.col("rank").min().over("model_id", "asset_class"))
    return FirmModels(
        run_id=row.run_id,
        as_of=row.as_of_date,
        targets=good["model_targets"]
        .select("model_id", "asset_class", "target_weight")
        .sort("model_id", "asset_class"),
        choices=first.select("asset_class", "security_id").unique().sort("asset_class", "security_id"),
    )


def class_history(settings: Settings, models: FirmModels, fewest: int = FEWEST_NIGHTS) -> MarketHistory:
    """Returns of the classes of buy lists from night to night, as far as each has prices on every night; of ``fewest`` nights at least.

    Raises
    ------
    WrongUsage
        The home has too few nights.
    """
    with closing(open_ledger(settings)) as ledger:
        at = Stores(settings, open_lake(settings), ledger)
        nights = finished_nights(ledger.runs)
        if len(nights) < fewest:
            raise WrongUsage(
                f"the home has {len(nights)} nights; needed {fewest} at least for a history of prices\n\n"
                "Hint: `--data us_1926_2018` takes packaged data; `--class` says which of its classes is which of yours."
            )
        steps = [_step(at, before, night, models.choices) for before, night in pairwise(nights)]
    dates = [night.as_of_date for night in nights]
    wide = pl.concat(step.with_columns(date=pl.lit(day)) for step, day in zip(steps, dates[1:], strict=True)).pivot(
        "asset_class", index="date", values="total_return"
    )
    whole = pl.DataFrame({"date": dates[1:]}).join(wide, on="date", how="left", maintain_order="left")
    classes = [name for name in sorted(whole.columns) if name != "date" and not whole[name].null_count()]
    values = whole.select(classes).to_numpy()
    years = (dates[-1] - dates[0]) / timedelta(days=DAYS_OF_A_YEAR)
    return MarketHistory(dates, tuple(classes), values, np.zeros(whole.height), whole.height / years, {})


def own_history(settings: Settings, fewest: int) -> tuple[list[RunRow], MarketHistory | None]:
    """The nights, and ``class_history`` of the firm's newest models; null where they are fewer than ``fewest``."""
    with closing(open_ledger(settings)) as ledger:
        nights = finished_nights(ledger.runs)
    models = firm_models(settings) if len(nights) >= fewest else None
    return nights, None if models is None else class_history(settings, models, fewest)


def finished_nights(runs: Runs) -> list[RunRow]:
    """The newest nights that were finished, one a date, the oldest first."""
    found: list[RunRow] = []
    row = runs.latest_full_run(date.max)
    while row is not None and len(found) < MOST_NIGHTS:
        found.append(row)
        row = runs.latest_full_run(row.as_of_date)
    return found[::-1]


def _step(at: Stores, before: RunRow, night: RunRow, choices: pl.DataFrame) -> pl.DataFrame:
    """``asset_class, total_return`` from one night to the next; nothing of a class of which no choice has both prices."""
    then = prices_then(at, _run(night), before).prices.select("security_id", then="price_usd")
    now = prices_of(at.lake, night.run_id).select("security_id", now="price_usd")
    both = (
        choices.join(then, on="security_id").join(now, on="security_id").filter(pl.col("then") > 0, pl.col("now") > 0)
    )
    growth = pl.col("now").cast(pl.Float64) / pl.col("then").cast(pl.Float64) - 1
    return (
        both.sort("asset_class", "security_id")
        .group_by("asset_class", maintain_order=True)
        .agg(total_return=growth.mean())
    )


def _run(row: RunRow) -> RunRef:
    return RunRef(row.run_id, row.as_of_date, row.kind, row.shard_count)


def weights_of(targets: pl.DataFrame, classes: Sequence[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Weights in ``classes`` of each model by its name; and the models that have a target in none of them, with that class."""
    weights: dict[str, np.ndarray] = {}
    left_out: dict[str, str] = {}
    for (model,), rows in targets.group_by("model_id", maintain_order=True):
        own = {name: weight for name, weight in rows.select("asset_class", "target_weight").iter_rows() if weight > 0}
        if strange := sorted(set(own) - set(classes)):
            left_out[str(model)] = strange[0]
        else:
            weights[str(model)] = np.array([own.get(name, 0.0) for name in classes])
    return weights, left_out
