"""What a model asks for, in sixteen digits: whether it is another than it was."""

import hashlib
from typing import Final

import polars as pl

from tasks.core.facts.indexes import OF_CLASS, parent_class
from tasks.core.facts.sums import exact_sum

TARGET_DIGITS: Final = 9
"""After the point, of a target that is the sum of its members'."""


def model_hashes(model_targets: pl.DataFrame) -> pl.DataFrame:
    """``model_id, model_hash``: SHA-256 (16 hex digits) of a model's targets, whatever its bands.

    A class that is held as an index is one target, whatever the weights of its members, which move every day.
    """
    lines = (
        _with_indexes_whole(model_targets.select("model_id", "asset_class", "target_weight"))
        .sort("model_id", "asset_class")
        .with_columns(line=pl.format("{}={}", "asset_class", "target_weight"))
        .group_by("model_id", maintain_order=True)
        .agg(pl.col("line").str.join("\n"))
    )
    hashes = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in lines["line"]]
    return lines.select("model_id", model_hash=pl.Series(hashes, dtype=pl.String))


def _with_indexes_whole(targets: pl.DataFrame) -> pl.DataFrame:
    """Targets with one row, ``<class>::``, for a class that is held as an index: of its members and of what else is held of it."""
    is_member = pl.col("asset_class").str.contains(OF_CLASS, literal=True)
    split = targets.filter(is_member).select("model_id", asset_class=parent_class()).unique()
    if split.is_empty():
        return targets
    parents = targets.with_columns(parent=parent_class()).join(
        split, left_on=("model_id", "parent"), right_on=("model_id", "asset_class"), how="semi"
    )
    whole = parents.group_by("model_id", asset_class=pl.concat_str("parent", pl.lit(OF_CLASS))).agg(
        exact_sum(pl.col("target_weight")).round(TARGET_DIGITS)
    )
    rest = targets.join(parents, on=("model_id", "asset_class"), how="anti")
    return pl.concat([rest, whole.select(rest.columns)])
