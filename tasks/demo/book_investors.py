"""Investors of the sample book, and the firm's ladder and glide path.

A tenth of the households have one, who is about as averse as the model of the household's first account says: most stay where they are, some move, and some
contradict themselves or have not been asked for years. The ladder's risk is that of the real prices of the last five years; its return is
``SAFE_RETURN`` and ``PRICE_OF_RISK`` times that risk, for what a few years returned says little of the next.
"""

from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl

from schemas.landing_columns import dtypes
from tasks.demo.book_accounts import household_ids
from tasks.demo.book_reference import CLASS_OF, CLASSES, MIXED_MODELS, MODEL_IDS, target_matrix
from tasks.demo.book_types import AccountDraw, DailyCloses, Floats, exact

INVESTOR_SHARE: Final = 0.1
ODD_SHARE: Final = 0.03
"""Of the investors: as many contradict themselves, and as many were last asked too long ago."""
GOAL_SHARE: Final = 0.5
PATH_SHARE: Final = 0.4
SESSIONS: Final = 1_260
SESSIONS_A_YEAR: Final = 252
SAFE_RETURN: Final = 0.02
PRICE_OF_RISK: Final = 0.33
AVERSIONS: Final = (7.5272, 3.7635, 2.0, 1.0)
"""At which the gambles on a cut of a tenth, a fifth, a third and a half are worth as much as a certain job."""
GAMBLES: Final = ("is_tenth_risked", "is_fifth_risked", "is_third_risked", "is_half_risked")
PATH: Final = "retirement"


def volatilities(market: DailyCloses) -> Floats:
    """Volatility a year of each model over the last ``SESSIONS``, its classes held as all their securities alike; cash has none."""
    closes = market.closes[-SESSIONS:]
    returns = closes[1:] / closes[:-1] - 1
    classes = np.stack(
        [
            returns[:, at].mean(axis=1) if (at := np.flatnonzero(n == CLASS_OF)).size else np.zeros(len(returns))
            for n in range(len(CLASSES))
        ],
        axis=1,
    )
    models = classes @ target_matrix().T
    return np.asarray(models.std(axis=0, ddof=1) * np.sqrt(SESSIONS_A_YEAR))


def ladder(market: DailyCloses) -> pl.DataFrame:
    """The landing table ``ladder``: the models for accounts of ordinary size, by their risk."""
    risk = volatilities(market)
    order = sorted(MIXED_MODELS, key=lambda model: float(risk[model]))
    return pl.DataFrame(
        {
            "model_id": [MODEL_IDS[model] for model in order],
            "rung": range(1, len(order) + 1),
            "expected_return": [round(SAFE_RETURN + PRICE_OF_RISK * float(risk[model]), 6) for model in order],
            "volatility": [round(float(risk[model]), 6) for model in order],
            "source_date": [market.as_of_date] * len(order),
        },
        schema=dtypes("ladder"),
    )


def glide_paths() -> pl.DataFrame:
    """The landing table ``glide_paths``: one path, from the safest rungs to all."""
    rows = [(PATH, years, None, rung) for years, rung in ((0.0, 1), (3.0, 3), (8.0, 5), (15.0, len(MIXED_MODELS)))]
    return pl.DataFrame(rows, schema=dtypes("glide_paths"), orient="row")


def investors_frame(
    rng: np.random.Generator, market: DailyCloses, accounts: AccountDraw, *, width: int
) -> pl.DataFrame:
    """Return the landing table ``investors`` for the households of a part."""
    risk = volatilities(market)
    first = np.flatnonzero((accounts.number == accounts.household) & np.isin(accounts.model, MIXED_MODELS))
    first = first[rng.random(len(first)) < INVESTOR_SHARE]
    count, as_of = len(first), market.as_of_date
    names = household_ids(accounts.household[first], width=width)
    aversion = PRICE_OF_RISK / risk[accounts.model[first]] * np.exp(0.2 * rng.standard_normal(count))
    answers = aversion[:, None] < np.array(AVERSIONS)[None, :]
    is_odd = rng.random(count) < ODD_SHARE
    answers[is_odd, 0], answers[is_odd, -1] = False, True
    years = np.round(rng.uniform(5, 30, count), 1)
    asked = np.where(rng.random(count) < ODD_SHARE, 1_200, rng.integers(10, 900, count))
    wealth = np.round(accounts.nav_usd[first] * rng.uniform(4, 12, count), 2)
    days: list[date] = [as_of - timedelta(days=int(age)) for age in asked]
    flow = np.round(accounts.nav_usd[first] * rng.uniform(0, 0.06, count), 2)
    has_goal = rng.random(count) < GOAL_SHARE
    goal = np.round(accounts.nav_usd[first] * rng.uniform(2, 8, count), 0)
    frame = pl.DataFrame(
        {
            "investor_id": pl.Series(names, dtype=pl.String).str.replace("^H", "I"),
            "household_id": names,
            **{name: answers[:, n] for n, name in enumerate(GAMBLES)},
            "horizon_years": years,
            "wealth_usd": exact(pl.Series(wealth)),
            "yearly_flow_usd": exact(pl.Series(flow)),
            "goal_usd": exact(pl.Series(goal)),
            "has_goal": has_goal,
            "goal_date": [day + timedelta(days=int(365.25 * left)) for day, left in zip(days, years, strict=True)],
            "glide_path_id": pl.Series(np.where(rng.random(count) < PATH_SHARE, PATH, ""), dtype=pl.String),
            "profiled_date": days,
        }
    ).with_columns(
        pl.when("has_goal").then(pl.col("goal_usd", "goal_date")),
        glide_path_id=pl.when(pl.col("glide_path_id") != "").then("glide_path_id"),
    )
    given = {name: pl.col(name) if name in frame.columns else pl.lit(None) for name in dtypes("investors")}
    return frame.select(given[name].cast(dtype).alias(name) for name, dtype in dtypes("investors").items())
