"""The rules of restrictions that look at more than one cell: what a ``hold_range`` must say, and what the others must not.

Only rows whose cells are sound are looked at: a limit that cannot be read is that, and not also missing.
"""

from typing import Final

import polars as pl

from schemas.enums import RestrictionRule
from tasks.core.gate.contract import Rule
from tasks.core.gate.rows import Checked, breaches, check_table

LIMITS: Final = ("min_quantity", "max_quantity", "min_value_usd", "max_value_usd")
_GIVEN: Final = Rule(
    "limit_given", ", ".join(LIMITS), f"one limit at least, where the rule is {RestrictionRule.HOLD_RANGE}"
)
_ALONE: Final = Rule("limit_of_hold_range", "rule", f"{RestrictionRule.HOLD_RANGE}, the only rule that has limits")
_QUANTITIES: Final = Rule("quantities_in_order", "min_quantity, max_quantity", "a least that is not above the most")
_VALUES: Final = Rule("values_in_order", "min_value_usd, max_value_usd", "a least that is not above the most")


def check_restrictions(parsed: pl.DataFrame) -> Checked:
    """Restrictions and the rules they broke by themselves."""
    checked = check_table("restrictions", parsed)
    rows = checked.good
    is_range = pl.col("rule") == RestrictionRule.HOLD_RANGE
    has_limit = pl.any_horizontal(pl.col(LIMITS).is_not_null())
    broken = {
        _GIVEN: is_range & ~has_limit,
        _ALONE: ~is_range & has_limit,
        _QUANTITIES: is_range & (pl.col("min_quantity") > pl.col("max_quantity")),
        _VALUES: is_range & (pl.col("min_value_usd") > pl.col("max_value_usd")),
    }
    return checked.with_broken(*(breaches(rows.filter(condition), rule) for rule, condition in broken.items()))
