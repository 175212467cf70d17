"""What the gate says a restriction forbids is what the rules make of it: for every two of them, tried on an account."""

from itertools import permutations

import polars as pl
import pytest

from schemas.enums import RestrictionRule
from tasks.core.gate.restrictions import unforbidden
from tests.support.facts_table import facts_of, problem_of

RULES = [rule for rule in RestrictionRule if rule is not RestrictionRule.HOLD_RANGE]
"""A range forbids to leave it, which depends on its limits: tried in ``test_kept_rules``."""
LOTS = "account_id | security_id | quantity\n a | B | 10\n"
HELD = LOTS + " a | S | 10\n"


def forbidden(rule: RestrictionRule) -> set[str]:
    """What an account may not do with the security: buy it as a holder, buy it new, sell it."""
    restrictions = f"security_id | rule\n S | {rule}"
    holder, other = (problem_of(facts_of(lots=lots, restrictions=restrictions)) for lots in (HELD, LOTS))
    is_stocks = pl.col("asset_class") == "stocks"
    acts = {
        "buy as a holder": holder.classes.filter(is_stocks)["buy_security_id"].to_list() != ["S"],
        "buy new": other.classes.filter(is_stocks)["buy_security_id"].to_list() != ["S"],
        "sell": holder.lots.filter(pl.col("security_id") == "S")["lock"].to_list() != [None],
    }
    return {act for act, is_forbidden in acts.items() if is_forbidden}


def row(rule: RestrictionRule) -> pl.DataFrame:
    return pl.DataFrame({"account_id": ["a"], "security_id": ["S"], "rule": [str(rule)]})


@pytest.mark.parametrize(("then", "tonight"), list(permutations(RULES, 2)))
def test_a_rule_in_the_place_of_another_hides_nothing_that_it_does_not_forbid(
    then: RestrictionRule, tonight: RestrictionRule
) -> None:
    is_as_much = forbidden(then) <= forbidden(tonight)
    assert unforbidden(row(then), row(tonight)).is_empty() == is_as_much


def test_every_rule_forbids_something() -> None:
    assert all(forbidden(rule) for rule in RULES)
