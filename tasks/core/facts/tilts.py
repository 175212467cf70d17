"""The model that an account really has: its own, tilted as its investor wants it.

With weights w of the model (scaled to sum to 1), raises u and cuts d >= 0 of the tilted classes, and W the weight of the classes that are
neither tilted nor cash

    cuts    d' = min(d, w)                       a class is not held below 0
    raised  R = min(sum u, sum d' + W)           what is raised comes out of what is cut, and of the others
    lowered L = sum d', or min(sum d', R) where W = 0
    target  w + u R / sum u,   w - d' L / sum d',   and of the others w (W + L - R) / W

so that targets sum to 1, none is below 0, and cash stays as it is unless it is tilted itself. Absolute bands stay, relative ones are of the new target. An
effective model is a model by itself, ``<model>+<account>``, which no identifier can be: whatever reads targets, choices or hashes of models
reads its.

Known limits: an account of a household that is managed together, and a class that the account's model does not have, are not tilted; what is not done
is said, and a person looks at the account's proposals.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from schemas.landing_columns import CASH
from schemas.tables import PUBLIC
from tasks.core.facts.sums import exact_sum

OF_ACCOUNT: Final = "+"
"""Stands between a model and the account that it was tilted for."""
DONE: Final = 1e-9
"""A tilt this close to what was asked is done."""
TILTED_MODELS: Final = dict.fromkeys(("account_id", "model_id", "tilted_model_id"), pl.String())
"""Grain: account with a tilt."""
_KEY: Final = ("account_id", "asset_class")


@dataclass(frozen=True)
class Tilted:
    """Effective models of the accounts with a tilt."""

    models: pl.DataFrame
    """``TILTED_MODELS``."""
    targets: pl.DataFrame
    """Rows of ``model_targets``, sorted."""
    rows: pl.DataFrame
    """The public table ``tilted_targets``."""


def untilted_model() -> pl.Expr:
    """``model_id``, of an effective model the model that was tilted."""
    return pl.col("model_id").str.split(OF_ACCOUNT).list.first()


def tilt_models(accounts: pl.DataFrame, tilts: pl.DataFrame, model_targets: pl.DataFrame) -> Tilted:
    """The effective models of accounts.

    Parameters
    ----------
    accounts
        ``account_id, model_id, managed_household_id``: the model that the account is managed by.
    tilts
        Landed rows; those without a weight do nothing, and those of other accounts are passed over.
    model_targets
        Targets and bands, one row a class of a model.
    """
    asked = tilts.filter(pl.col("delta_weight") != 0).select(*_KEY, "delta_weight")
    owners = accounts.select("account_id", "model_id", is_alone=pl.col("managed_household_id").is_null())
    asked = asked.join(owners, on="account_id").join(
        model_targets.select("model_id").unique(), on="model_id", how="semi"
    )
    named = asked.join(model_targets, on=["model_id", "asset_class"], how="semi")
    done = named.filter("is_alone")
    classes = (
        done.select("account_id", "model_id")
        .unique()
        .join(model_targets, on="model_id")
        .join(done.select(*_KEY, "delta_weight"), on=_KEY, how="left")
        .sort(_KEY)
    )
    weighted = _with_targets(classes)
    models = weighted.select("account_id", "model_id").unique(maintain_order=True)
    models = models.with_columns(tilted_model_id=pl.concat_str("model_id", pl.lit(OF_ACCOUNT), "account_id"))
    targets = weighted.drop("model_id").join(models, on="account_id", maintain_order="left")
    left = _not_done(asked, named, model_targets)
    columns = PUBLIC["tilted_targets"]
    said = pl.concat([weighted.with_columns(model_weight="weight"), left], how="diagonal").with_columns(note=_note())
    return Tilted(
        models=models,
        targets=targets.with_columns(model_id="tilted_model_id").select(model_targets.columns),
        rows=said.select(pl.col(name).cast(dtype) for name, dtype in columns.items()).sort(_KEY),
    )


def _not_done(asked: pl.DataFrame, named: pl.DataFrame, model_targets: pl.DataFrame) -> pl.DataFrame:
    """Tilts of which nothing is done, with ``why``."""
    weights = model_targets.select(
        "model_id", "asset_class", model_weight="target_weight", target_weight="target_weight"
    )
    together = named.filter(~pl.col("is_alone")).join(weights, on=["model_id", "asset_class"])
    strange = asked.join(named, on=_KEY, how="anti")
    return pl.concat(
        [
            together.with_columns(why=pl.lit("its household is managed together, to one model")),
            strange.with_columns(model_weight=0.0, target_weight=0.0, why=pl.lit("its model does not have the class")),
        ]
    )


def _with_targets(classes: pl.DataFrame) -> pl.DataFrame:
    """Classes of tilted accounts, whole models in order, with ``weight``, the model's, and ``target_weight``, the tilted one."""
    delta, weight = pl.col("delta_weight"), pl.col("weight")
    is_other = delta.is_null() & (pl.col("asset_class") != CASH)
    nothing = pl.lit(0.0)

    def total(amount: pl.Expr) -> pl.Expr:
        return exact_sum(amount).over("account_id")

    up, down = (pl.col(f"{name}_total") for name in ("up", "down"))
    raised, lowered, others = (pl.col(name) for name in ("raised", "lowered", "others"))
    share = pl.when(is_other).then((others + lowered - raised) * (1 / others))
    target = (
        pl.when(is_other & (others > 0))
        .then(weight * share)
        .when(delta > 0)
        .then(weight + pl.col("up") * (raised * (1 / up)))
        .when((delta < 0) & (down > 0))
        .then(weight - pl.col("down") * (lowered * (1 / down)))
        .otherwise(weight)
    )
    return (
        classes.with_columns(weight=pl.col("target_weight") * (1 / total(pl.col("target_weight"))))
        .with_columns(
            up=pl.max_horizontal(delta.fill_null(0.0), nothing),
            down=pl.min_horizontal(pl.max_horizontal(-delta.fill_null(0.0), nothing), weight),
        )
        .with_columns(
            up_total=total(pl.col("up")),
            down_total=total(pl.col("down")),
            others=total(pl.when(is_other).then(weight).otherwise(nothing)),
        )
        .with_columns(raised=pl.min_horizontal(up, down + others))
        .with_columns(lowered=pl.when(others > 0).then(down).otherwise(pl.min_horizontal(down, raised)))
        .with_columns(target_weight=target.clip(0.0, 1.0))
    )


def _note() -> pl.Expr:
    """Why a tilt is not done as asked; null where it is."""
    done = pl.col("target_weight") - pl.col("model_weight")
    is_done = (done - pl.col("delta_weight")).abs() <= DONE
    reason = (
        pl.when(pl.col("why").is_not_null())
        .then("why")
        .when(pl.col("delta_weight") > 0)
        .then(pl.lit("the classes that make room for it have no more"))
        .when(pl.col("lowered") < pl.col("down_total"))
        .then(pl.lit("no other class takes up more"))
        .otherwise(pl.lit("the model has no more of it"))
    )
    said = pl.format("of the tilt of {} % only {} % is done: {}", _percent("delta_weight"), _percent(done), reason)
    return pl.when(~is_done).then(said)


def _percent(weight: str | pl.Expr) -> pl.Expr:
    value = (pl.col(weight) if isinstance(weight, str) else weight) * 100
    return pl.concat_str(pl.when(value > 0).then(pl.lit("+")).otherwise(pl.lit("")), value.round(4).cast(pl.String))
