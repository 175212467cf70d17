"""Securities of a class that no model has: held outside the models, or damaged."""

from typing import Final

import polars as pl

from tasks.core.gate.contract import Rule
from tasks.core.gate.rows import Checked, breaches
from tasks.core.gate.spellings import could_mean

_SPELLED: Final = Rule(
    "asset_class_spelled_alike", "asset_class", "the class as the models and the securities spell it"
)
_LISTED: Final = Rule(
    "asset_class_as_listed", "asset_class", "a class of the models, for the buy list names the security for one"
)


def with_strange_classes(checked: Checked, known: pl.Series, buy_list: pl.DataFrame | None) -> Checked:
    """The rules broken by rows of a class that is not among the known ones: it could be a respelling of one, or its security is to be bought for one.

    Parameters
    ----------
    checked
        The table ``securities``.
    known
        Classes of the models.
    buy_list
        Its landed rows; null: none came.
    """
    found = checked.good["asset_class"].unique()
    strange = found.filter(~found.is_in(known.implode()))
    meant = could_mean(strange, known)["text"].unique()
    is_meant, is_strange = (pl.col("asset_class").is_in(each.implode()) for each in (meant, strange))
    respelt = breaches(checked.good.filter(is_meant), _SPELLED)
    if buy_list is None:
        return checked.with_broken(respelt)
    listed = buy_list.filter(pl.col("asset_class").is_in(known.implode()))["security_id"].drop_nulls().unique()
    is_listed = pl.col("security_id").is_in(listed.implode())
    return checked.with_broken(respelt, breaches(checked.good.filter(is_strange, ~is_meant, is_listed), _LISTED))
