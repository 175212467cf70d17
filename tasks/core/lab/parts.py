"""The measures of each account, a path under a policy, and what is kept of them path by path, so that memory does not grow with the paths.

1. ``path_measures`` makes annual figures of what the engine counted.
2. ``part_rows`` keeps of a shard of paths, by policy and measure: count, mean, sum of squared deviations, the same of the paired difference to the reference,
   least, greatest, and for a few a histogram.
3. ``merged`` joins the parts of all shards in their order. The mean of all is the mean of the means weighed by counts, and squared deviations add up with those of
   the means (Chan, Golub and LeVeque 1979).

Known limits: quantiles come from bins a quarter of a percent wide, so that they are exact to that; of a single path they are exact.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from schemas.lab_tables import LAB_INTERNAL, LAB_PART, OF_ACCOUNTS
from tasks.core.lab.arrays import GAP_LIMITS, Market, Measured
from tasks.core.lab.statistics import annual_deviation, annual_rate
from tasks.core.solver import Floats, Ints

WITH_QUANTILES: Final = ("terminal_wealth_usd", "liquidated_wealth_usd", "max_gap_bps")
"""Measures of which a histogram is kept."""
WIDTH: Final = float(np.log(1.0025))
"""Of a bin, in logarithms."""
NOTHING: Final = -(2**31)
"""The bin of what is 0 or less."""
WEIGHT: Final = "mean_weight_"
"""How the measure of a class's mean weight begins."""


def year_count(market: Market) -> float:
    """How many years the market's steps are."""
    return (len(market.dates) - 1) / market.steps_per_year


ROUTES: Final = ("auto", "one", "two")
"""Policy approves a proposal, one person decides it, or two."""
STATED_ACCOUNTS: Final = 1_000
"""Accounts that reviewers' hours are said of."""
MINUTES: Final = 60


def path_measures(
    measured: Measured, market: Market, minutes: tuple[float, float, float] | None = None
) -> dict[str, Floats]:
    """(policies, paths) of each measure, annual where it is one; a Sharpe ratio of no volatility is not a number.

    ``minutes``: of a proposal that policy approves, one person decides, two decide; null: proposals were not counted.
    """
    steps, years = len(market.dates) - 1, year_count(market)
    volatility = annual_deviation(measured.of("return_m2"), steps, market.steps_per_year)
    excess = annual_deviation(measured.of("excess_m2"), steps, market.steps_per_year)
    has_risk = excess > 0
    sharpe = measured.of("excess_mean") * market.steps_per_year / np.where(has_risk, excess, 1.0)
    solves = measured.of("solves")
    figures = {
        "annual_return": annual_rate(measured.of("growth"), years),
        "annual_volatility": volatility,
        "sharpe": np.where(has_risk, sharpe, np.nan),
        "worst_drawdown": measured.of("drawdown"),
        "tracking_error": np.sqrt(measured.of("tracking_m2") / steps * market.steps_per_year),
        "mean_drift": measured.of("drift_sum") / steps,
        "rms_drift": np.sqrt(measured.of("drift_squares") / steps),
        "events": measured.of("events"),
        "orders_per_year": measured.of("orders") / years,
        "turnover_per_year": measured.of("turnover") / years,
        "cost_per_year_usd": measured.of("cost") / years,
        "tax_per_year_usd": measured.of("tax") / years,
        "realized_short_per_year_usd": measured.of("realized_short") / years,
        "realized_long_per_year_usd": measured.of("realized_long") / years,
        "unused_losses_usd": measured.of("unused_losses"),
        "harvested_per_year_usd": measured.of("harvested") / years,
        "deferred_tax_usd": measured.of("deferred_tax"),
        "terminal_wealth_usd": measured.of("wealth"),
        "liquidated_wealth_usd": measured.of("wealth_liquidated"),
        "mean_gap_bps": measured.of("gap_sum") / np.maximum(solves, 1),
        "max_gap_bps": measured.of("gap_max"),
        "gap_sum_bps": measured.of("gap_sum"),
        "solves": solves,
        **{f"gaps_{place}": measured.of(f"gaps_{place}") for place in range(len(GAP_LIMITS))},
    }
    if minutes is not None:
        routed = {route: measured.of(f"proposals_{route}") / years for route in ROUTES}
        figures |= {f"proposals_{route}_per_year": counts for route, counts in routed.items()}
        spent = np.asarray(sum(counts * each for counts, each in zip(routed.values(), minutes, strict=True)))
        figures["review_hours_per_year"] = spent * (STATED_ACCOUNTS / MINUTES)
    weights = {f"{WEIGHT}{name}": measured.weight_sum[:, :, at] / steps for at, name in enumerate(market.classes)}
    return figures | weights


def over_accounts(figures: Mapping[str, Floats], count: int) -> dict[str, Floats]:
    """The mean over the ``count`` accounts of each course, (policies, courses): courses are independent, accounts on one of them are not."""
    return {name: values.reshape(len(values), -1, count).mean(axis=2) for name, values in figures.items()}


def account_part_rows(figures: Mapping[str, Floats], names: Sequence[str]) -> pl.DataFrame:
    """``lab_account_parts``: the mean over courses of each account's measures."""
    policies, paths = figures["tracking_error"].shape
    own = {name: figures[name].reshape(policies, -1, len(names)).mean(axis=1).ravel() for name in OF_ACCOUNTS}
    return pl.DataFrame(
        {
            "policy_number": np.repeat(np.arange(policies), len(names)),
            "account_id": list(names) * policies,
            "path_count": [paths // len(names)] * policies * len(names),
            **own,
        },
        schema=LAB_INTERNAL["lab_account_parts"],
    )


def merge_accounts(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """``policy_number, account_id``, the measures over all courses, and ``is_on_frontier``; sorted.

    On it: no other policy has both less tracking error and less tax and cost of that account; of several alike all are.
    """
    weight = pl.col("path_count")
    whole = (
        pl.concat(parts)
        .group_by("policy_number", "account_id")
        .agg((pl.col(name) * weight).sum() / weight.sum() for name in OF_ACCOUNTS)
        .sort("policy_number", "account_id")
        .with_columns(paid=pl.col("tax_per_year_usd") + pl.col("cost_per_year_usd"))
    )
    both = whole.join(whole.select("account_id", error="tracking_error", less="paid"), on="account_id")
    no_worse = (pl.col("error") <= pl.col("tracking_error")) & (pl.col("less") <= pl.col("paid"))
    better = no_worse & ((pl.col("error") < pl.col("tracking_error")) | (pl.col("less") < pl.col("paid")))
    beaten = both.filter(better).select("policy_number", "account_id", is_beaten=pl.lit(value=True)).unique()
    return (
        whole.join(beaten, on=["policy_number", "account_id"], how="left", maintain_order="left")
        .with_columns(is_on_frontier=pl.col("is_beaten").is_null())
        .drop("is_beaten", "paid")
    )


def part_rows(figures: Mapping[str, Floats]) -> pl.DataFrame:
    """``LAB_PART`` of a shard's paths, from ``path_measures``."""
    frames = []
    for measure, values in figures.items():
        policies, paths = values.shape
        difference = values - values[0]
        frames.append(
            pl.DataFrame(
                {
                    "policy_number": np.arange(policies),
                    "measure": [measure] * policies,
                    "path_count": [paths] * policies,
                    "mean": values.mean(axis=1),
                    "m2": _squares(values),
                    "difference": difference.mean(axis=1),
                    "difference_m2": _squares(difference),
                    "least": values.min(axis=1),
                    "greatest": values.max(axis=1),
                    "histogram": [histogram(row) if measure in WITH_QUANTILES else None for row in values],
                },
                schema=LAB_PART,
            )
        )
    return pl.concat(frames)


def year_rows(measured: Measured, market: Market, accounts: int = 1) -> pl.DataFrame:
    """The same of each calendar year of a shard's paths, measures ``year_return``, ``rms_drift``, ``turnover`` and ``tax_usd``; with ``year``.

    Of several accounts each course has their mean.
    """
    steps_of = steps_by_year(market)
    frames = []
    for at, (year, steps) in enumerate(steps_of.items()):
        growth, squares, turnover, tax = np.moveaxis(measured.by_year[:, :, at], -1, 0)
        figures = {
            "year_return": growth - 1,
            "rms_drift": np.sqrt(squares / steps),
            "turnover": turnover,
            "tax_usd": tax,
        }
        frames.append(part_rows(over_accounts(figures, accounts)).with_columns(year=pl.lit(year, pl.Int64)))
    return pl.concat(frames)


def steps_by_year(market: Market) -> dict[int, int]:
    """How many steps end in each calendar year."""
    years: dict[int, int] = {}
    for day in market.dates[1:]:
        years[day.year] = years.get(day.year, 0) + 1
    return years


@dataclass(frozen=True)
class AllPaths:
    """Over all paths, each (policies) and the key a measure: mean, standard deviation, difference to the reference and its standard error, greatest, quantiles.

    ``path_count``: how many. Standard deviation and standard error of a single path are not numbers.
    """

    path_count: int
    mean: Mapping[str, Floats]
    deviation: Mapping[str, Floats]
    difference: Mapping[str, Floats]
    difference_error: Mapping[str, Floats]
    greatest: Mapping[str, Floats]
    quantiles: Mapping[str, Mapping[float, Floats]]


def merged(parts: Sequence[pl.DataFrame], quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> AllPaths:
    """The parts of all shards as one, in the order given; each has every policy and measure."""
    whole: dict[str, dict[str, Any]] = {}
    counts = np.array([part["path_count"][0] for part in parts])
    paths = int(counts.sum())
    tables = [part.sort("measure", "policy_number").partition_by("measure", as_dict=True) for part in parts]
    for (measure,) in tables[0]:
        shards = [table[(measure,)] for table in tables]
        mean, m2 = _joined(counts, *(np.stack([one[name].to_numpy() for one in shards]) for name in ("mean", "m2")))
        difference, difference_m2 = _joined(
            counts, *(np.stack([one[name].to_numpy() for one in shards]) for name in ("difference", "difference_m2"))
        )
        least = np.stack([one["least"].to_numpy() for one in shards]).min(axis=0)
        greatest = np.stack([one["greatest"].to_numpy() for one in shards]).max(axis=0)
        spread = np.nan if paths == 1 else 1.0 / (paths - 1)
        whole[str(measure)] = {
            "mean": mean,
            "deviation": np.sqrt(m2 * spread),
            "difference": difference,
            "difference_error": np.sqrt(difference_m2 * spread / paths),
            "greatest": greatest,
            "quantiles": _quantiles(shards, quantiles, least, greatest) if measure in WITH_QUANTILES else {},
        }
    names = ("mean", "deviation", "difference", "difference_error", "greatest", "quantiles")
    return AllPaths(paths, *({measure: of[name] for measure, of in whole.items()} for name in names))


def histogram(values: Floats) -> str:
    """``bin:count`` of each bin that has values, in order, with blanks between; a bin is ``WIDTH`` wide in logarithms."""
    bins = np.where(values > 0, np.floor(np.log(np.where(values > 0, values, 1.0)) / WIDTH), NOTHING).astype(np.int64)
    return " ".join(f"{each}:{count}" for each, count in zip(*np.unique(bins, return_counts=True), strict=True))


def quantiles_of(histograms: Sequence[str], shares: Sequence[float]) -> list[float]:
    """The values that so large shares of all values lie below, within a bin by the share of the bin; 0 where one is 0 or less."""
    counts: Counter[int] = Counter()
    for text in histograms:
        for each in text.split():
            number, _, count = each.partition(":")
            counts[int(number)] += int(count)
    bins = sorted(counts)
    reached = np.cumsum([counts[number] for number in bins])
    return [_within(bins, reached, share) for share in shares]


def _within(bins: Sequence[int], reached: Ints, share: float) -> float:
    if not bins:
        return float("nan")
    wanted = share * reached[-1]
    at = int(np.searchsorted(reached, wanted))
    if bins[at] == NOTHING:
        return 0.0
    before = reached[at - 1] if at else 0
    return float(np.exp((bins[at] + (wanted - before) / (reached[at] - before)) * WIDTH))


def _quantiles(
    shards: Sequence[pl.DataFrame], shares: Sequence[float], least: Floats, greatest: Floats
) -> dict[float, Floats]:
    texts = zip(*(one["histogram"].to_list() for one in shards), strict=True)
    found = np.array([quantiles_of(each, shares) for each in texts])
    return {share: np.clip(found[:, at], least, greatest) for at, share in enumerate(shares)}


def _squares(values: Floats) -> Floats:
    return np.asarray(((values - values.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))


def _joined(counts: Ints, means: Floats, m2: Floats) -> tuple[Floats, Floats]:
    """(policies) mean and squared deviations of all, from those of (shards, policies)."""
    weight = counts[:, None] / counts.sum()
    mean = (weight * means).sum(axis=0)
    return mean, (m2 + counts[:, None] * (means - mean) ** 2).sum(axis=0)
