"""Rules about an account that stood when it was last accepted, and that tonight's tables do not have any more.

A row that is gone breaks nothing by itself: what it forbade would simply be allowed. So it is looked for.

1. A restriction of the account, until its last day: tonight something must forbid what it forbade, a row of the account or one for
   everyone. Where the account neither holds the security nor could buy it nothing depends on it.
2. A household that was managed together: while an account still names it, it must have its row.

Both may be right: a restriction is lifted, a household is managed apart. That is for a person to say, or for the source: a restriction
that ends has an ``until_date``, an account that leaves names no household. Closed accounts are not looked at.
"""

from typing import Final

import polars as pl

from schemas.enums import AccountStatus, Side
from schemas.landing import dtypes
from tasks.core.gate.history import HOUSEHOLD_KEPT, RESTRICTION_KEPT, History
from tasks.core.gate.reference_tables import Gated
from tasks.core.gate.restrictions import rules_about, unforbidden
from tasks.core.gate.rows import BROKEN, Checked

_NOTHING: Final = pl.DataFrame(schema={**dtypes("restrictions"), "row_number": pl.Int64})


def lost_rules(
    accounts: Checked, restrictions: Checked | None, lots: pl.DataFrame, globals_: Gated, history: History
) -> pl.DataFrame:
    """Broken rules (as ``BROKEN``) of accounts whose own row, and restrictions, are sound: the others wait for what they lack.

    Parameters
    ----------
    accounts, restrictions
        Tables of accounts; null: no restrictions came.
    lots
        Tonight's lots.
    globals_
        What the gate accepted of the tables that belong to no account.
    history
        The night before; its rules are those that are to hold still.
    """
    own = Checked("restrictions", _NOTHING, pl.DataFrame(schema=BROKEN)) if restrictions is None else restrictions
    broken = own.rows.join(own.broken, on="row_number", how="semi").select("account_id")
    open_ones = accounts.good.filter(pl.col("status") != AccountStatus.CLOSED).join(broken, on="account_id", how="anti")
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
    return pl.concat([of_restrictions, of_households]).unique().sort("row_number", "sentence").cast(BROKEN)  # type: ignore[arg-type]


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
