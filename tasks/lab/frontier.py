"""``trimtab frontier``: the efficient frontier of the firm's classes, its models beside it, and a ladder of models made of it.

Nothing of it happened or is promised: expected returns are those of a history, or what somebody states.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from schemas.errors import WrongUsage
from schemas.settings import Settings
from tasks.core.lab import EfficientFrontier, MarketHistory, find_frontier, is_distinguishable
from tasks.core.solver import Floats
from tasks.lab.compare import NOISE
from tasks.lab.data import HINT, packaged_history
from tasks.lab.firm_models import FirmModels, class_history, firm_models, weights_of
from tasks.lab.pictures import BLUE, GREY, ORANGE, Axis, Dot, Line, Picture, percent

CASH: Final = "cash"
BILLS: Final = "bills"
RUNGS: Final = 10
WEIGHT_DIGITS: Final = 4
LADDER_COLUMNS: Final = ("model_id", "rung", "expected_return", "volatility", "source_date")
MODEL_NAME: Final = "frontier-{:02d}"


@dataclass(frozen=True)
class FrontierRequest:
    """What is asked for: the data (null: prices of the home's nights), which classes and as what of the data, and what is stated of them."""

    data: str | None = None
    first: str | None = None
    last: str | None = None
    classes: Mapping[str, str] = field(default_factory=dict)
    """The firm's name of a class, and the data's."""
    expected: Mapping[str, float] = field(default_factory=dict)
    most: Mapping[str, float] = field(default_factory=dict)
    draws: int = 100
    seed: int = 1


@dataclass(frozen=True)
class FoundFrontier:
    """The frontier; ``left_out``: models and their class without data."""

    found: EfficientFrontier
    left_out: Mapping[str, str]
    source: str
    source_date: date
    models_date: date | None

    @property
    def classes(self) -> Sequence[str]:
        """Names of classes as the firm has them."""
        return self.found.moments.classes


def frontier_of(settings: Settings, asked: FrontierRequest) -> FoundFrontier:
    """The frontier that is asked for.

    Raises
    ------
    WrongUsage
        The library that solves it is not installed, the home has too few nights, or data, classes and what is stated of them do not fit together.
    """
    if find_spec("skfolio") is None:
        raise WrongUsage(f"skfolio is not installed, which finds the frontier\n\nHint: {HINT}")
    models = firm_models(settings)
    history = _history(settings, asked, models)
    named = _classes(asked, models, history)
    for what, given in (("--expected", asked.expected), ("--most", asked.most)):
        if strange := sorted(set(given) - set(named)):
            raise WrongUsage(f"{what} names {strange[0]}\n\nHint: the classes are {', '.join(named)}.")
    then = history.between(asked.first, asked.last).of([*named.values()])
    weights, left_out = ({}, {}) if models is None else weights_of(models.targets, list(named))
    try:
        found = find_frontier(
            then.total_return,
            list(named),
            then.steps_per_year,
            mixes=weights,
            expected=asked.expected,
            most=asked.most,
            count=RUNGS,
            draws=asked.draws,
            seed=asked.seed,
        )
    except ValueError as error:
        raise WrongUsage(f"{error}\n\nHint: choose other data, months or limits.") from error
    return FoundFrontier(
        found=found,
        left_out=left_out,
        source=asked.data or f"prices of the home's nights, {then.dates[0]} to {then.dates[-1]}",
        source_date=then.dates[-1],
        models_date=None if models is None else models.as_of,
    )


def _history(settings: Settings, asked: FrontierRequest, models: FirmModels | None) -> MarketHistory:
    if asked.data is not None:
        return with_cash(packaged_history(asked.data))
    if models is None:
        raise WrongUsage(
            f"{settings.home} has no night whose prices could be taken\n\nHint: `--data us_1926_2018` takes packaged data."
        )
    return with_cash(class_history(settings, models))


def with_cash(history: MarketHistory) -> MarketHistory:
    """The history with ``cash``, which returns nothing, where it has no bills."""
    if BILLS in history.classes or CASH in history.classes:
        return history
    nothing = np.zeros((len(history.total_return), 1))
    return replace(history, classes=(*history.classes, CASH), total_return=np.hstack([history.total_return, nothing]))


def _classes(asked: FrontierRequest, models: FirmModels | None, history: MarketHistory) -> dict[str, str]:
    """The firm's classes and the data's of each, sorted: those named, or those of its models that the data have, or all of the data."""
    named = dict(asked.classes)
    own = [] if models is None else models.targets.filter(pl.col("target_weight") > 0)["asset_class"].unique().to_list()
    if not named and own:
        named = {name: name for name in own if name in history.classes and name != CASH}
        if not named:
            raise WrongUsage(
                f"the data have none of the firm's classes {', '.join(sorted(own))}; they have {', '.join(history.classes)}\n\n"
                f"Hint: `--class {min(own)}={history.classes[0]}` says which is which."
            )
    if CASH in own:
        named.setdefault(CASH, BILLS if BILLS in history.classes else CASH)
    named = named or {name: name for name in history.classes if name != CASH}
    twice = [name for name in named.values() if list(named.values()).count(name) > 1]
    if twice:
        raise WrongUsage(
            f"{' and '.join(sorted(one for one, two in named.items() if two == twice[0]))} are both {twice[0]} of the data\n\n"
            "Hint: two classes that always move alike have no frontier; name other classes of the data, or one of them."
        )
    return dict(sorted(named.items()))


def model_rows(asked: FoundFrontier) -> list[dict[str, Any]]:
    """A row a model: return, volatility, distance with its standard error and what that says; by volatility."""
    rows = [
        {
            "model_id": mix.name,
            "expected_return": mix.expected_return,
            "volatility": mix.volatility,
            "more_return_at_its_volatility": mix.more_return,
            "standard_error": mix.error,
            "less_volatility_at_its_return": mix.less_volatility,
            "verdict": "below the frontier" if is_distinguishable(mix.more_return, mix.error) else NOISE,
        }
        for mix in asked.found.mixes
    ]
    return sorted(rows, key=lambda row: (row["volatility"], row["model_id"]))


def rung_rows(asked: FoundFrontier) -> list[dict[str, Any]]:
    """A row for each of ten resampled mixes, which a ladder is made of: return, volatility, weights as they are written."""
    weights = round_weights(asked.found.resampled)
    moments = asked.found.moments
    return [
        {
            "model_id": MODEL_NAME.format(rung),
            "rung": rung,
            "expected_return": float(moments.mean_of(own)),
            "volatility": float(moments.volatility(own)),
            "weights": {name: float(weight) for name, weight in zip(asked.classes, own, strict=True) if weight > 0},
        }
        for rung, own in enumerate(weights, 1)
    ]


def round_weights(weights: Floats) -> Floats:
    """Weights of four digits that sum to 1: the greatest remainders are rounded up, the first class's of several that are alike."""
    unit = 10.0**WEIGHT_DIGITS
    scaled = weights * unit
    whole = np.floor(scaled + 1e-9)
    lacking = np.rint(unit - whole.sum(axis=1)).astype(int)
    for row, count in enumerate(lacking):
        order = np.argsort(-(scaled[row] - whole[row]), kind="stable")
        whole[row, order[:count]] += 1
    return np.asarray(whole / unit)


def write_ladder(asked: FoundFrontier, folder: Path, *, is_of_models: bool) -> list[Path]:
    """``ladder.csv``, the firm's models or those of the frontier from the calmest up; of those of the frontier ``model_targets.csv`` too.

    Raises
    ------
    WrongUsage
        The firm has no models with data.
    """
    rows = model_rows(asked) if is_of_models else rung_rows(asked)
    if not rows:
        raise WrongUsage("no model has data for all its classes\n\nHint: `--ladder-of frontier` makes ten models.")
    ladder = [{**row, "rung": rung, "source_date": asked.source_date} for rung, row in enumerate(rows, 1)]
    frames = {"ladder": pl.DataFrame([{name: row[name] for name in LADDER_COLUMNS} for row in ladder])}
    if not is_of_models:
        frames["model_targets"] = pl.DataFrame(
            [
                {"model_id": row["model_id"], "asset_class": name, "target_weight": weight}
                for row in rows
                for name, weight in row["weights"].items()
            ]
        )
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for table, frame in frames.items():
        path = folder / f"{table}.csv"
        frame.with_columns(pl.selectors.float().round(10)).write_csv(path)
        paths.append(path)
    return paths


def frontier_picture(asked: FoundFrontier) -> str:
    """The frontier, the resampled one, and the models beside it, as SVG."""
    moments = asked.found.moments

    def points(weights: Floats) -> list[tuple[float, float]]:
        return list(zip(moments.volatility(weights).tolist(), moments.mean_of(weights).tolist(), strict=True))

    alone = [(name, *points(own[None])[0]) for name, own in zip(asked.classes, np.eye(len(asked.classes)), strict=True)]
    return Picture(
        title="Efficient frontier, hypothetical: what could be expected, and at what risk",
        x=Axis("volatility a year", percent),
        y=Axis("expected return a year", percent),
        lines=[
            Line(points(asked.found.efficient), "efficient frontier", BLUE),
            Line(points(asked.found.resampled), "resampled, of which a ladder is made", ORANGE, is_dashed=True),
        ],
        dots=[
            *(
                Dot(
                    mix.volatility,
                    mix.expected_return,
                    mix.name,
                    f"{mix.name}: {percent(round(mix.more_return, 5))} below",
                    BLUE,
                )
                for mix in asked.found.mixes
            ),
            *(Dot(x, y, name, f"all in {name}", GREY, is_hollow=True) for name, x, y in alone),
        ],
    ).svg()
