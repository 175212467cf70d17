"""Names and types of what a page says of the solution: a program reads them from ``trimtab explain --json``."""

import json
from typing import Any, Final

import pytest

from tasks.core.explain.account_page import page
from tasks.core.explain.gap_section import LETTERS
from tests.support.account_record import told_of
from tests.support.facts_table import facts_of

NUMBER: Final = (int, float)
MAYBE_NUMBER: Final = (int, float, type(None))
MAYBE_TEXT: Final = (str, type(None))
TERM: Final = {
    "term": (str,),
    "rate": NUMBER,
    "before_usd": NUMBER,
    "tonight_usd": NUMBER,
    "disallowed_usd": MAYBE_NUMBER,
    "after_usd": MAYBE_NUMBER,
    "marginal_rate": MAYBE_NUMBER,
    "marginal_sentence": MAYBE_TEXT,
}
TAX: Final = {
    "tax_status": (str,),
    "short_term_rate": NUMBER,
    "long_term_rate": NUMBER,
    "ytd_short_gain_usd": NUMBER,
    "ytd_long_gain_usd": NUMBER,
    "loss_carryforward_short_usd": NUMBER,
    "loss_carryforward_long_usd": NUMBER,
    "realized_short_gain_usd": MAYBE_NUMBER,
    "realized_long_gain_usd": MAYBE_NUMBER,
    "est_tax_usd": MAYBE_NUMBER,
    "tax_before_usd": NUMBER,
    "tax_after_usd": NUMBER,
    "regime": MAYBE_TEXT,
    "regime_sentence": MAYBE_TEXT,
    "marginal_short_rate": MAYBE_NUMBER,
    "marginal_long_rate": MAYBE_NUMBER,
    "terms": (list,),
    "netting_before": MAYBE_TEXT,
    "netting_before_sentence": MAYBE_TEXT,
    "netting_after": MAYBE_TEXT,
    "netting_after_sentence": MAYBE_TEXT,
    "side": MAYBE_TEXT,
    "side_sentence": MAYBE_TEXT,
}
LIMIT: Final = {
    "limit": (str,),
    "most": MAYBE_NUMBER,
    "used": NUMBER,
    "price_bps": MAYBE_NUMBER,
    "is_binding": (bool,),
    "sentence": (str,),
}
LOSS: Final = {
    "asset_class": (str,),
    "held_usd": NUMBER,
    "room_usd": NUMBER,
    "above_usd": NUMBER,
    "sold_usd": NUMBER,
    "harvested_usd": NUMBER,
    "is_binding": (bool,),
    "price_bps": NUMBER,
    "sentence": (str,),
}
WAY: Final = {
    "asset_class": (str,),
    "way": (str,),
    "sold_usd": NUMBER,
    "outright_usd": NUMBER,
    "bought_usd": NUMBER,
    "over_usd": NUMBER,
    "off_usd": NUMBER,
    "sell_worth_bps": NUMBER,
    "sell_cost_bps": MAYBE_NUMBER,
    "buy_worth_bps": NUMBER,
    "buy_cost_bps": MAYBE_NUMBER,
    "is_obvious": (bool,),
    "sentence": (str,),
}
CERTIFICATE: Final = {
    "objective_usd": MAYBE_NUMBER,
    "lower_bound_usd": MAYBE_NUMBER,
    "gap_bps": MAYBE_NUMBER,
    "gap_usd": MAYBE_NUMBER,
    "sentence": (str,),
    "continuous_usd": MAYBE_NUMBER,
    "idle_usd": MAYBE_NUMBER,
    "is_idle_allowed": (bool, type(None)),
    "parts": (list,),
    "parts_sentence": MAYBE_TEXT,
    "idle_sentence": MAYBE_TEXT,
}
PART: Final = {"part": (str,), "usd": NUMBER, "bps": NUMBER, "words": (str,)}
LOSSES: Final = "security_id | lot_id | quantity | unit_cost_usd\n S | 1 | 700 | 150\n B | 1 | 300 | 90"


def check(found: dict[str, Any], schema: dict[str, tuple[type, ...]]) -> None:
    """The names in their order, and a type that is allowed under each; a whole number is one, true is none."""
    assert list(found) == list(schema)
    for name, types in schema.items():
        assert type(found[name]) in types, name


@pytest.mark.parametrize("status", ["taxable", "tax_deferred"])
@pytest.mark.parametrize("holdings", [LOSSES, "security_id | quantity\n S | 600\n B | 400"])
def test_sections_of_the_solution_keep_their_names_and_types(status: str, holdings: str) -> None:
    facts = facts_of({"max_turnover": 0.05}, lots=holdings, accounts=f"account_id | tax_status\n a | {status}")
    found = json.loads(json.dumps(page(told_of(facts)), default=str))
    check(found["tax"], TAX)
    assert [term["term"] for term in found["tax"]["terms"]] == ["short", "long"]
    for term in found["tax"]["terms"]:
        check(term, TERM)
    assert [row["limit"] for row in found["limits"]] == ["cash", "gain_budget", "turnover", "orders"]
    for section, schema in (("limits", LIMIT), ("losses", LOSS), ("ways", WAY)):
        for row in found[section]:
            check(row, schema)
    assert [row["asset_class"] for row in found["ways"]] == ["bonds", "stocks"]
    assert bool(found["losses"]) == (status == "taxable" and holdings == LOSSES)
    if found["certificate"] is not None:
        check(found["certificate"], CERTIFICATE)
        assert [one["part"] for one in found["certificate"]["parts"]] == list(LETTERS)
        for one in found["certificate"]["parts"]:
            check(one, PART)
    assert (found["certificate"] is None) == (holdings != LOSSES)
    assert found["not_solved_again"] is None
    assert all(type(order["worth_usd"]) is float and type(order["note"]) in MAYBE_TEXT for order in found["orders"])
