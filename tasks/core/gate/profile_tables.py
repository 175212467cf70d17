"""The gate for investors' profiles: investors, the ladder, glide paths. A broken row of theirs stops no trade; it stops advice that could rest on it.

1. Each row must keep its contract, and say nothing of after the as-of date.
2. The ladder is used whole or not at all: one broken row of it, rungs that come twice, or volatility that falls while rungs rise, and
   nobody is advised tonight. A rung's model is one that may be traded to.
3. A row of a glide path has a share or a rung, and all rows of a path have the same of the two. A path is used whole or not at all.
4. A household of which a row of the investors is broken, or could be a respelling of what one has, is not advised; where one has a household that
   cannot be read, nobody is. A blank household is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from schemas.landing_columns import PROFILE_TABLES, dtypes
from tasks.core.gate.contract import Rule
from tasks.core.gate.rows import Checked, accepted_rows, breaches, check_table, with_future
from tasks.core.gate.strays import could_be_lost, is_name, text_of

_DATED: Final = {"investors": "profiled_date", "ladder": "source_date"}
_ONE_RUNG: Final = Rule("rung_alone", "rung", "a rung that no other model of the ladder stands on")
_RISING: Final = Rule("volatility_rises", "volatility", "a volatility that is not below that of the rung beneath")
_SHARE_OR_RUNG: Final = Rule("share_or_rung", "risky_share, rung", "one of the two")
_SAME_KIND: Final = Rule(
    "path_of_one_kind", "risky_share, rung", "the one of the two that the other rows of the glide path have"
)


@dataclass(frozen=True, slots=True)
class ProfileTables:
    """What advice may rest on."""

    investors: pl.DataFrame
    ladder: pl.DataFrame
    """By rung; empty: nobody is advised."""
    glide_paths: pl.DataFrame
    broken: pl.DataFrame
    """``text, is_anyones`` of what broken rows of investors have for a household."""

    def is_broken(self, households: pl.Series) -> pl.Series:
        """True for each of the households that a broken row could be of."""
        return could_be_lost(households, self.broken)


def check_profiles(tables: Mapping[str, pl.DataFrame], as_of: date) -> dict[str, Checked]:
    """The tables of profiles among these and the rules that their rows broke by themselves."""
    found = {table: check_table(table, tables[table]) for table in PROFILE_TABLES if table in tables}
    found |= {table: with_future(checked, _DATED[table], as_of) for table, checked in found.items() if table in _DATED}
    more = {"ladder": _ladder_breaches, "glide_paths": _path_breaches}
    return found | {
        table: found[table].with_broken(*more[table](found[table].good)) for table in more if table in found
    }


def usable_profiles(tables: Mapping[str, pl.DataFrame], quarantine: pl.DataFrame) -> ProfileTables:
    """What of the landed rows advice may rest on; ``quarantine``: ``table_name, landed_row`` of the rows that were set aside."""
    good = {table: accepted_rows(table, tables[table], quarantine) for table in PROFILE_TABLES}
    lost = {
        table: rows.join(good[table], on="row_number", how="anti") for table, rows in tables.items() if table in good
    }
    ladder = good["ladder"].clear() if lost["ladder"].height else good["ladder"].sort("rung")
    paths, broken = good["glide_paths"], lost["glide_paths"]
    names = paths["glide_path_id"].unique(maintain_order=True)
    whole = names.filter(~could_be_lost(names, _lost(broken, "glide_path_id")))
    return ProfileTables(
        investors=good["investors"].select(dtypes("investors").keys()),
        ladder=ladder.select(dtypes("ladder").keys()),
        glide_paths=paths.filter(pl.col("glide_path_id").is_in(whole.implode())).select(dtypes("glide_paths").keys()),
        broken=_lost(lost["investors"], "household_id"),
    )


def _lost(broken: pl.DataFrame, column: str) -> pl.DataFrame:
    """``text, is_anyones`` of what the column names in broken rows; one that is blank names nothing, a line of the wrong length could name anything."""
    is_line = pl.col("raw").str.json_path_match("$.line").is_not_null()
    is_text = text_of(column).is_not_null() & ~is_name(column)
    return broken.select(text_of(column).alias("text"), is_anyones=is_line | is_text)


def _ladder_breaches(good: pl.DataFrame) -> list[pl.DataFrame]:
    """Broken rules of rows that are sound by themselves."""
    rising = good.sort("rung", "model_id")
    falls = rising.filter(pl.col("volatility") < pl.col("volatility").shift(1))
    return [breaches(good.filter(pl.col("rung").is_duplicated()), _ONE_RUNG), breaches(falls, _RISING)]


def _path_breaches(good: pl.DataFrame) -> list[pl.DataFrame]:
    """As ``_ladder_breaches``."""
    has_share, has_rung = pl.col("risky_share").is_not_null(), pl.col("rung").is_not_null()
    mixed = good.filter(has_share != has_rung).filter(has_share.n_unique().over("glide_path_id") > 1)
    return [breaches(good.filter(has_share == has_rung), _SHARE_OR_RUNG), breaches(mixed, _SAME_KIND)]
