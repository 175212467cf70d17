"""Which accounts will leave their bands by the next session, and what came of saying so before.

Each pair of nights in a row is forecast from what was known on the first: bands as they stood then, returns until then, and what had been learned from
the pairs before. The newest night is forecast last, by whichever has won on those (``tasks.core.forecast.record_of``).

Known limits: of past nights the accounts of the first shards are looked at, some ``SAMPLE`` of them, as shards are drawn by a hash of the account; prices
are those of the first choices of buy lists (``tasks.lab.own_history``). Between two nights that are more than a session apart one session is forecast.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl

from schemas.errors import WrongUsage
from schemas.settings import Settings
from tasks.core.forecast import (
    Bands,
    Chances,
    ForecastRecord,
    Predict,
    Score,
    bands_of,
    chances_of,
    draws_of,
    features_of,
    interval_of,
    learn,
    record_of,
    score_of,
)
from tasks.core.lab import MarketHistory
from tasks.lab import own_history
from warehouse.lake import Lake, open_lake
from warehouse.ledger import RunRow

FEWEST_RETURNS: Final = 20
"""Sessions whose returns are known before anything is forecast."""
DRAWS: Final = 1_000
SAMPLE: Final = 4_000
"""Accounts of a past night, at least, where it has so many."""
MOST_SCORED: Final = 60
LEARN_EVERY: Final = 5
SEED: Final = 20_260_105
COLUMNS: Final = ("account_id", "asset_class", "weight", "target_weight", "band", "is_out_of_band")
Rows = np.ndarray


@dataclass(frozen=True, slots=True)
class LikelyAccount:
    """An account, and the chance that it leaves its bands."""

    account_id: str
    chance: float


@dataclass(frozen=True)
class BreachForecast:
    """``expected`` of ``accounts`` that stand within their bands will leave them; ``low`` to ``high`` in 90 of 100 cases. ``method``: formula or learned."""

    as_of: date
    run_id: str
    accounts: int
    out_already: int
    expected: float
    low: float
    high: float
    method: str
    likeliest: Sequence[LikelyAccount]
    record: ForecastRecord
    scores: Sequence[Score]
    unpriced: Sequence[str]


def forecast_breaches(settings: Settings, *, most: int = 20) -> BreachForecast:
    """Forecast the next session, and score the forecasts of the nights before.

    Parameters
    ----------
    most
        Of the likeliest accounts, how many are named.

    Raises
    ------
    WrongUsage
        The home has too few nights.
    """
    nights, history = own_history(settings, FEWEST_RETURNS + 1)
    if history is None:
        raise WrongUsage(
            f"the home has {len(nights)} finished nights; needed {FEWEST_RETURNS + 1} at least, whose prices say how much classes move\n\n"
            "Hint: every night adds one."
        )
    return forecast_from(open_lake(settings), nights, history, most=most)


def forecast_from(lake: Lake, nights: Sequence[RunRow], history: MarketHistory, *, most: int) -> BreachForecast:
    """``forecast_breaches`` of nights, the oldest first, whose ``history`` has their dates."""
    past = _Past(lake, history)
    scores = list(past.walk(nights[FEWEST_RETURNS:][-MOST_SCORED - 1 :]))
    record = record_of(scores)
    newest = nights[-1]
    drift = lake.read("drift", newest.run_id, columns=COLUMNS)
    bands, chances, features = past.look(newest, drift)
    chance, method = chances.chance, "formula"
    if record.is_learned_used and (predict := past.learned()) is not None:
        chance, method = predict(features), "learned"
    low, high = interval_of(chances.counts)
    scale = chance.sum() / chances.chance.sum() if chances.chance.sum() else 1.0
    first = np.argsort(-chance, kind="stable")[:most]
    return BreachForecast(
        as_of=newest.as_of_date,
        run_id=newest.run_id,
        accounts=len(chance),
        out_already=drift.filter("is_out_of_band")["account_id"].n_unique(),
        expected=float(chance.sum()),
        low=low * scale,
        high=high * scale,
        method=method,
        likeliest=[LikelyAccount(bands.account_ids[int(place)], float(chance[place])) for place in first],
        record=record,
        scores=scores,
        unpriced=sorted(set(bands.classes) - set(history.classes) - {"cash"}),
    )


class _Past:
    """Nights looked at one after the other; what was learned from them."""

    def __init__(self, lake: Lake, history: MarketHistory) -> None:
        self._lake, self._history = lake, history
        self._features: list[Rows] = []
        self._left: list[Rows] = []

    def walk(self, nights: Sequence[RunRow]) -> Iterator[Score]:
        """The score of each night but the last, by what was known on it."""
        predict = None
        for number, (night, after) in enumerate(pairwise(nights)):
            sample = self._sample(night)
            bands, chances, features = self.look(night, sample)
            then = self._lake.rows_of(
                "drift", after.run_id, range(after.shard_count), bands.account_ids, ("account_id", "is_out_of_band")
            )
            out = then.group_by("account_id").agg(pl.col("is_out_of_band").any())
            known = pl.DataFrame({"account_id": bands.account_ids}).join(
                out, on="account_id", how="left", maintain_order="left"
            )
            is_there = known["is_out_of_band"].is_not_null().to_numpy()
            has_left = known["is_out_of_band"].fill_null(value=False).to_numpy()[is_there]
            if number % LEARN_EVERY == 0:
                predict = self.learned()
            learned = None if predict is None or not is_there.any() else predict(features[is_there])
            yield score_of(after.as_of_date, chances.chance[is_there], chances.counts, has_left, learned)
            self._features.append(features[is_there])
            self._left.append(has_left)

    def look(self, night: RunRow, drift: pl.DataFrame) -> tuple[Bands, Chances, Rows]:
        """What is known of accounts on a night."""
        returns = self._history.total_return[: self._history.dates.index(night.as_of_date)]
        bands = bands_of(drift, self._history.classes)
        draws, covariance = draws_of(returns, DRAWS, SEED)
        chances = chances_of(bands, draws, covariance)
        return bands, chances, features_of(bands, chances, returns)

    def learned(self) -> Predict | None:
        """What the pairs of nights so far teach."""
        return learn(np.vstack(self._features), np.concatenate(self._left)) if self._features else None

    def _sample(self, night: RunRow) -> pl.DataFrame:
        parts: list[pl.DataFrame] = []
        seen = 0
        for shard in range(night.shard_count):
            parts.append(self._lake.read("drift", night.run_id, shard, COLUMNS))
            seen += parts[-1]["account_id"].n_unique()
            if seen >= SAMPLE:
                break
        return pl.concat(parts)
