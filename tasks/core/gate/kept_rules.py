"""Rules about an account that stood when it was last accepted, and that tonight's tables do not have any more.

A row that is gone breaks nothing by itself: what it forbade would simply be allowed. So it is looked for.

1. A restriction of the account, until its last day: tonight something must forbid what it forbade, a row of the account or one for
   everyone. Where the account neither holds the security nor could buy it nothing depends on it.
2. A household that was managed together: while an account still names it, it must have its row.

3. A tilt of a class, and a class that is held as an index: the account must have its row, of whatever weight or index.

All may be right: a restriction is lifted, a household is managed apart. That is for a person to say, or for the source: a restriction
that ends has an ``until_date``, an account that leaves names no household, a tilt that ends has a ``delta_weight`` of 0, a class that is held as no index any more
a blank ``index_id``. Closed accounts are not looked at.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

from schemas.enums import AccountStatus, Side
from schemas.landing_columns import dtypes
from tasks.core.gate.history import HOUSEHOLD_KEPT, INDEX_KEPT, RESTRICTION_KEPT, TILT_KEPT, History
from tasks.core.gate.reference_tables import Gated
from tasks.core.gate.restrictions import rules_about, unforbidden
from tasks.core.gate.rows import BROKEN, Checked

_CLASS: Final = ["account_id", "asset_class"]


def lost_rules(checked: Mapping[str, Checked], lots: pl.DataFrame, globals_: Gated, history: History) -> pl.DataFrame:
    """Broken rules (as ``BROKEN``) of accounts whose own row, restrictions and tilts are sound: the others wait for what they lack.

    Parameters
    ----------
    checked
        ``accounts``, and ``restrictions``, ``tilts`` and ``direct_indexes`` where they came.
    lots
        Tonight's lots.
    globals_
        What the gate accepted of the tables that belong to no account.
    history
        The night before; its rules are those that are to hold still.
    """
    names = ("restrictions", "tilts", "direct_indexes")
    own, tilts, indexes = (checked[name] if name in checked else _nothing(name) for name in names)
    broken = pl.concat([_of_broken_rows(each) for each in (own, tilts, indexes)])
    open_ones = (
        checked["accounts"]
        .good.filter(pl.col("status") != AccountStatus.CLOSED)
        .join(broken, on="account_id", how="anti")
    )
    then = history.rules.join(history.accepted, on="account_id").join(
        open_ones.select("account_id", "row_number", "model_id", now_in="household_id"), on="account_id"
    )
    if then.is_empty():
        return pl.DataFrame(schema=BROKEN)
    everyones = globals_.everyones.with_columns(account_id=pl.lit(None, pl.String))
    key = ["account_id", "security_id", "rule"]
    restricted = then.filter(pl.col("security_id").is_not_null())
    lifted = unforbidden(restricted, pl.concat([own.good.select(key), everyones.select(key)]))
    of_restrictions = _that_matter(lifted, lots, globals_).select(
        "row_number",
        rule=pl.lit(RESTRICTION_KEPT),
        sentence=pl.format(
            "rule of {} is empty, {} on {}; needed a row of the table restrictions that forbids as much, "
            "or a person who knows that it was lifted.",
            "security_id",
            "rule",
            "accepted_date",
        ),
    )
    is_managed = pl.col("household_id").is_in(globals_.households.implode())
    apart = then.filter(pl.col("household_id") == pl.col("now_in"), ~is_managed)
    of_households = apart.select(
        "row_number",
        rule=pl.lit(HOUSEHOLD_KEPT),
        sentence=pl.format(
            "household_id is {}, which had a row in the table households on {} and has none; needed the row, "
            "or a person who knows that its accounts are managed apart.",
            "household_id",
            "accepted_date",
        ),
    )
    is_of_class, was_index = pl.col("asset_class").is_not_null(), pl.col("index_id").is_not_null()
    flat = then.filter(is_of_class & ~was_index).join(tilts.good, on=_CLASS, how="anti")
    of_tilts = flat.select(
        "row_number",
        rule=pl.lit(TILT_KEPT),
        sentence=pl.format(
            "tilt of {} is empty, there on {}; needed the row of the table tilts, with a delta_weight of 0 where the tilt has ended, "
            "or a person who knows that it has.",
            "asset_class",
            "accepted_date",
        ),
    )
    plain = then.filter(is_of_class & was_index).join(indexes.good, on=_CLASS, how="anti")
    of_indexes = plain.select(
        "row_number",
        rule=pl.lit(INDEX_KEPT),
        sentence=pl.format(
            "index of {} is empty, {} on {}; needed the row of the table direct_indexes, with a blank index_id where the class is held as no "
            "index any more, or a person who knows that it is not.",
            "asset_class",
            "index_id",
            "accepted_date",
        ),
    )
    found = pl.concat([of_restrictions, of_households, of_tilts, of_indexes]).unique().sort("row_number", "sentence")
    return found.select(pl.col(name).cast(dtype) for name, dtype in BROKEN.items())


def _nothing(table: str) -> Checked:
    return Checked(table, pl.DataFrame(schema={**dtypes(table), "row_number": pl.Int64}), pl.DataFrame(schema=BROKEN))


def _of_broken_rows(checked: Checked) -> pl.DataFrame:
    return checked.rows.join(checked.broken, on="row_number", how="semi").select("account_id")


def _that_matter(lifted: pl.DataFrame, lots: pl.DataFrame, globals_: Gated) -> pl.DataFrame:
    """Restrictions of what the account holds and could sell, or could buy: for its own model, or its household's."""
    holding = ["account_id", "security_id"]
    held = lots.filter(pl.col("quantity") != 0).select(holding).unique()
    listed = globals_.choices.select("model_id", "security_id").unique()
    of_household = lifted.join(
        globals_.managed.select(now_in="household_id", household_model="model_id"), on="now_in", how="left"
    ).with_columns(model_id=pl.coalesce("household_model", "model_id"))
    sales = lifted.filter(pl.col("rule").is_in(rules_about(Side.SELL))).join(held, on=holding, how="semi")
    purchases = [
        each.filter(pl.col("rule").is_in(rules_about(Side.BUY))).join(
            listed, on=["model_id", "security_id"], how="semi"
        )
        for each in (lifted, of_household)
    ]
    return pl.concat([each.select(lifted.columns) for each in (sales, *purchases)]).unique()
