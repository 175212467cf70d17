"""The gate for indexes and for the accounts that hold a class as one.

1. An index is used whole or not at all: one broken row of it, weights that do not sum to 1, of several days or of a day too long ago, a security that is
   not delivered or is of another class than the others, and the accounts that hold it wait.
2. A broken row whose index is none that can be read costs every index, unless the rest of it means nothing of ours either (``strays.lost_names``).
3. A class can be held as an index of that class alone; so no security is of two indexes of an account. Cash is held as no index.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import polars as pl

from schemas.landing_columns import CASH, INDEX_AGE_DAYS, INDEX_SUM_TOLERANCE
from tasks.core.gate.contract import Rule
from tasks.core.gate.corporate_actions import Actions
from tasks.core.gate.restrictions import CLASS_KNOWN, with_unknown_exclusions
from tasks.core.gate.rows import (
    BROKEN,
    SECURITY_KNOWN,
    Checked,
    breaches,
    check_table,
    with_future,
    with_unknown,
    wrong_sums,
)
from tasks.core.gate.strays import could_be_lost, lost_names

INDEXES: Final = {"index_id": pl.String(), "index_class": pl.String()}
"""Grain: index that is whole. ``index_class``: the class of its securities."""
INDEX_WHOLE: Final = Rule("index_whole", "index_id", "an index without a broken row")
INDEX_KNOWN: Final = Rule("index_known", "index_id", "an index with good rows in the table index_weights, or nothing")
_ONE_DAY: Final = Rule("index_of_one_day", "weight_date", "the day that the other rows of the index have")
_ONE_CLASS: Final = Rule(
    "index_of_one_class", "security_id", "a security of the class that the others of the index have"
)
_NO_CASH: Final = Rule("index_of_no_cash", "asset_class", f"another class than {CASH}")


def check_index_weights(parsed: pl.DataFrame, securities: pl.DataFrame, as_of: date) -> Checked:
    """Rows of the indexes and the rules they broke; ``securities``: accepted rows of the table of that name."""
    known = securities["security_id"]
    checked = with_unknown(check_table("index_weights", parsed), SECURITY_KNOWN, known)
    checked = with_future(checked, "weight_date", as_of)
    good = checked.good.join(securities.select("security_id", "asset_class"), on="security_id", maintain_order="left")
    is_mixed = pl.col("asset_class").n_unique().over("index_id") > 1
    is_of_days = pl.col("weight_date").n_unique().over("index_id") > 1
    oldest = as_of - timedelta(days=INDEX_AGE_DAYS)
    current = Rule(
        "index_current", "weight_date", f"weights of {oldest} or later: indexes are made up anew each quarter"
    )
    rows = checked.rows
    checked = checked.with_broken(
        *(
            breaches(rows.join(good.filter(condition), on="row_number", how="semi"), rule)
            for rule, condition in (
                (_ONE_DAY, is_of_days),
                (_ONE_CLASS, is_mixed),
                (current, pl.col("weight_date") < oldest),
                (INDEX_WHOLE, pl.col("index_id").is_in(_lost(checked, known).implode())),
            )
        )
    )
    return checked.with_broken(
        wrong_sums(
            checked.good,
            rule="index_weights_sum_to_one",
            of="index_id",
            part="security_id",
            weight="weight",
            within=INDEX_SUM_TOLERANCE,
        )
    )


def whole_indexes(checked: Checked, securities: pl.DataFrame) -> pl.DataFrame:
    """``INDEXES`` that no broken row could belong to."""
    classes = checked.good.join(securities.select("security_id", "asset_class"), on="security_id")
    found = classes.group_by("index_id").agg(index_class=pl.col("asset_class").first()).sort("index_id")
    return found.filter(~pl.col("index_id").is_in(_lost(checked, securities["security_id"]).implode()))


def check_direct_indexes(
    checked: Checked, classes: pl.Series, indexes: pl.DataFrame, securities: pl.Series, actions: Actions | None
) -> Checked:
    """What accounts hold as indexes and the rules that the rows broke; ``indexes``: ``INDEXES``, the rest as of tilts."""
    checked = with_unknown(checked, CLASS_KNOWN, classes)
    checked = with_unknown(checked, INDEX_KNOWN, indexes["index_id"])
    checked = with_unknown_exclusions(checked, securities, actions)
    good = checked.good
    other = good.join(indexes, on="index_id").filter(pl.col("index_class") != pl.col("asset_class"))
    parts: Sequence[pl.DataFrame] = [
        breaches(
            checked.rows.filter(pl.col("row_number") == row["row_number"]),
            Rule(
                "index_of_class",
                "asset_class",
                f"{row['index_class']}, the class of the securities of {row['index_id']}",
            ),
        )
        for row in other.to_dicts()
    ]
    cash = breaches(good.filter(pl.col("asset_class") == CASH), _NO_CASH)
    return checked.with_broken(pl.concat([pl.DataFrame(schema=BROKEN), *parts, cash]))


def _lost(checked: Checked, securities: pl.Series) -> pl.Series:
    """Indexes that a broken row is of, or could be."""
    known = checked.good["index_id"].unique()
    broken = checked.rows.join(checked.broken, on="row_number", how="semi")
    return known.filter(could_be_lost(known, lost_names(broken, "index_id", "security_id", securities)))
