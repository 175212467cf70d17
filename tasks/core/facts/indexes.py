"""A class held as the securities of an index, each a small class of its own.

With weights w of the index (scaled to sum to 1), T the class's target and E what the account leaves out (excluded, or lighter than its
``min_weight``):

    share of a member   s = w / (1 - w(E)),   0 of one that is left out
    target              T s                    of what else is held of the class 0

Pro rata: what is left out is spread over the others in their proportions. Of all weights that are 0 on E these are nearest to w in relative
entropy, sum s ln(s / w) (I. Csiszar, I-divergence geometry of probability distributions, Annals of Probability 3, 1975: it is the conditional
distribution); and half the sum of |s - w|, the active share of the basket (K. Cremers and A. Petajisto, Review of Financial Studies 22, 2009),
is w(E), the least that leaving E out can cost.

A member's bands are the class's in proportion: ``absolute_band`` times s, so that they add up to the class's, and the same fraction of its target.

A member is the class ``<class>::<security>``. The account has an effective model (``tilts``), whose class is split so; a tilt comes first.

Known limits: an account of a household that is managed together, and a class that the account's model does not have, hold no index; what is not
done is said, and a person looks at the account's proposals. A class of the firm's own whose name has two colons is shown as a member.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from schemas.tables import PUBLIC
from tasks.core.facts.sums import exact_sum
from tasks.core.facts.tilts import OF_ACCOUNT

OF_CLASS: Final = "::"
"""Stands between a class and the security of its index."""
MEMBERS: Final = {
    "account_id": pl.String(),
    "security_id": pl.String(),
    "parent_class": pl.String(),
    "member_class": pl.String(),
    "share": pl.Float64(),
    "tracking_budget": pl.Float64(),
}
"""Grain: account and security of its index. ``share`` of the class's target, 0 where it is left out; they sum to 1. ``tracking_budget``: a fraction
of the class's target; null: none."""
_KEY: Final = ("account_id", "asset_class")


@dataclass(frozen=True)
class Indexed:
    """Effective models of the accounts that hold an index."""

    models: pl.DataFrame
    """``account_id, model_id, tilted_model_id`` as ``tilts.TILTED_MODELS``, and ``source_model_id``, the model whose class is split: a tilted one where there is one."""
    targets: pl.DataFrame
    """Rows of ``model_targets`` of those models, whole."""
    members: pl.DataFrame
    """``MEMBERS``, sorted."""
    rows: pl.DataFrame
    """The public table ``index_baskets``."""


def parent_class() -> pl.Expr:
    """``asset_class``, of a member of an index the class that is held so."""
    return pl.col("asset_class").str.split(OF_CLASS).list.first()


def member_class() -> pl.Expr:
    """The class of ``security_id`` as a member of an index of ``asset_class``."""
    return pl.concat_str("asset_class", pl.lit(OF_CLASS), "security_id")


def with_own_classes(rows: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """Rows with ``account_id, security_id, asset_class``: of a member of the account's index the class is the member's; order is kept."""
    if members.is_empty():
        return rows
    own = members.select("account_id", "security_id", "member_class", asset_class="parent_class")
    joined = rows.join(own, on=("account_id", "security_id", "asset_class"), how="left", maintain_order="left")
    return joined.with_columns(asset_class=pl.coalesce("member_class", "asset_class")).drop("member_class")


def hold_indexes(
    accounts: pl.DataFrame,
    direct_indexes: pl.DataFrame,
    index_weights: pl.DataFrame,
    model_targets: pl.DataFrame,
    held: pl.DataFrame,
) -> Indexed:
    """The effective models of accounts that hold a class as an index.

    Parameters
    ----------
    accounts
        ``account_id, model_id, tilted_model_id, managed_household_id``: the model that the account is managed by, and its tilted one
        (null: it has none).
    direct_indexes
        Landed rows; those without an index do nothing, and those of other accounts are passed over.
    index_weights
        Landed rows.
    model_targets
        Targets and bands, of tilted models too.
    held
        ``account_id, security_id, asset_class`` of what is held, with the security's class.
    """
    owners = accounts.select(
        "account_id",
        "model_id",
        source_model_id=pl.coalesce("tilted_model_id", "model_id"),
        is_alone=pl.col("managed_household_id").is_null(),
    )
    asked = direct_indexes.drop_nulls("index_id").join(owners, on="account_id")
    own = model_targets.rename({"model_id": "source_model_id"})
    found = asked.join(own, on=["source_model_id", "asset_class"], how="left")
    shares = _with_shares(found.filter(pl.col("is_alone") & pl.col("target_weight").is_not_null()), index_weights)
    is_whole = pl.col("share").sum().over(_KEY) > 0
    shares = shares.filter(is_whole)
    done = shares.select("account_id", "model_id", "source_model_id").unique().sort("account_id")
    models = done.with_columns(tilted_model_id=pl.concat_str("model_id", pl.lit(OF_ACCOUNT), "account_id"))
    members = shares.select(
        "account_id",
        "security_id",
        "share",
        "tracking_budget",
        parent_class="asset_class",
        member_class=member_class(),
    ).select(MEMBERS.keys())
    return Indexed(
        models=models,
        targets=_targets(models, own, shares, held).select(model_targets.columns),
        members=members.sort("account_id", "security_id"),
        rows=_rows(found, shares),
    )


def of_effective(rows: pl.DataFrame, indexed: Indexed, *, is_split: bool) -> pl.DataFrame:
    """Rows of classes of models (``model_id, asset_class`` and more) as they are, and once more for each effective model in the place of its own.

    A class that is held as an index has its rows for each of its members where ``is_split``, else none.
    """
    models = indexed.models
    known = rows.join(models, left_on="model_id", right_on="tilted_model_id", how="anti", maintain_order="left")
    source = models.select("account_id", "tilted_model_id", model_id="source_model_id")
    own = rows.join(source, on="model_id", maintain_order="left_right").with_columns(model_id="tilted_model_id")
    held = indexed.members.filter(pl.col("share") > 0).select("account_id", "member_class", asset_class="parent_class")
    parts = [known, own.join(held, on=_KEY, how="anti", maintain_order="left")]
    if is_split:
        parts.append(own.join(held, on=_KEY, maintain_order="left_right").with_columns(asset_class="member_class"))
    return pl.concat([each.select(rows.columns) for each in parts])


def listed_members(indexed: Indexed) -> pl.DataFrame:
    """``model_id, asset_class, security_id``: the one choice of each member that is not left out."""
    members = indexed.members.filter(pl.col("share") > 0)
    return members.join(indexed.models, on="account_id", maintain_order="left").select(
        "security_id", model_id="tilted_model_id", asset_class="member_class"
    )


def _with_shares(found: pl.DataFrame, index_weights: pl.DataFrame) -> pl.DataFrame:
    """The classes once for each security of their index, with ``weight``, ``is_excluded`` and ``share``."""
    every = found.join(index_weights.select("index_id", "security_id", "weight"), on="index_id")
    every = every.sort("account_id", "asset_class", "security_id")
    is_excluded = pl.col("exclude").str.split("|").list.contains(pl.col("security_id")).fill_null(value=False)
    total = exact_sum(pl.col("weight")).over(_KEY)
    is_light = (pl.col("weight") < pl.col("min_weight")).fill_null(value=False)
    kept = pl.when(~pl.col("is_excluded") & ~is_light).then("weight").otherwise(0.0)
    left = exact_sum(pl.col("kept")).over(_KEY)
    return (
        every.with_columns(weight=pl.col("weight") * (1 / total), is_excluded=is_excluded)
        .with_columns(kept=kept)
        .with_columns(share=pl.when(left > 0).then(pl.col("kept") * (1 / left)).otherwise(0.0))
    )


def _targets(models: pl.DataFrame, own: pl.DataFrame, shares: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Whole effective models: the classes that are held as they are, members, and with a target of 0 what else is held of their classes."""
    named = models.select("account_id", "source_model_id", model_id="tilted_model_id")
    classes = named.join(own, on="source_model_id")
    parents = shares.select(_KEY).unique()
    plain = classes.join(parents, on=_KEY, how="anti")
    share, target = pl.col("share"), pl.col("target_weight")
    members = shares.join(named.select("account_id", effective="model_id"), on="account_id").select(
        "account_id",
        "security_id",
        "share",
        "relative_band",
        model_id="effective",
        asset_class=member_class(),
        target_weight=target * share,
        absolute_band=pl.col("absolute_band") * share,
    )
    left_out = members.filter(share == 0).join(held, on=("account_id", "security_id"), how="semi")
    other = held.join(parents, on=_KEY, how="semi").join(shares, on=("account_id", "security_id"), how="anti")
    other = other.select(_KEY).unique().join(named, on="account_id")
    nothing = {
        "target_weight": pl.lit(0.0),
        **{f"{kind}_band": pl.lit(None, pl.Float64) for kind in ("absolute", "relative")},
    }
    columns = ("model_id", "asset_class", "target_weight", "absolute_band", "relative_band")
    parts = [plain, members.filter(share > 0), *(each.with_columns(**nothing) for each in (left_out, other))]
    return pl.concat([each.select(columns) for each in parts]).sort("model_id", "asset_class")


def _rows(found: pl.DataFrame, shares: pl.DataFrame) -> pl.DataFrame:
    """The public table, with a note where no index is held."""
    is_out = pl.col("share") == 0
    counts = shares.group_by(_KEY).agg(
        member_count=pl.len().cast(pl.Int64),
        left_out_count=is_out.sum().cast(pl.Int64),
        left_out_weight=exact_sum(pl.col("weight").filter(is_out)),
    )
    note = (
        pl.when(~pl.col("is_alone"))
        .then(pl.lit("its household is managed together, to one model"))
        .when(pl.col("target_weight").is_null())
        .then(pl.lit("its model does not have the class"))
        .when(pl.col("member_count").is_null())
        .then(pl.lit("nothing of the index is left to hold"))
    )
    counted = found.join(counts, on=_KEY, how="left").with_columns(note=note)
    filled = counted.with_columns(
        pl.col("member_count", "left_out_count").fill_null(0), pl.col("target_weight", "left_out_weight").fill_null(0.0)
    )
    return filled.select(pl.col(name).cast(dtype) for name, dtype in PUBLIC["index_baskets"].items()).sort(_KEY)
