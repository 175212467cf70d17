"""Hundreds of members as one row, and a sentence on a basket: by hand."""

from typing import Any

import polars as pl

from tasks.core.explain.account_page import page
from tasks.core.explain.baskets import folded, folded_orders, folded_words
from tests.support.account_record import told_of
from tests.support.facts_table import facts_of, table

SECURITIES = """
    security_id | asset_class | quantity_step
    X           | stocks      | 0.001
    Y           | stocks      | 0.001
    Z           | stocks      | 0.001
    B           | bonds       | 0.001
"""
LOTS = "security_id | quantity | unit_cost_usd\nX | 300 | 90\nY | 180 | 90\nZ | 120 | 150\nB | 400 | 100"


def found(budget: str, exclude: str | None = None, cash: str = "0") -> dict[str, Any]:
    """The page of an account that holds its stocks as X, Y and Z, each at its target."""
    plain = facts_of(
        {"is_harvesting": True},
        securities=SECURITIES,
        lots=LOTS,
        buy_list="asset_class | security_id\nbonds | B",
        cash=f"settled_usd\n{cash}",
    )
    direct = table("direct_indexes", f"account_id | tracking_budget\na | {budget}").with_columns(
        exclude=pl.lit(exclude, pl.String)
    )
    weights = table("index_weights", "security_id | weight\nX | 0.5\nY | 0.3\nZ | 0.2")
    return page(told_of(plain.with_indexes(direct, weights)))


def test_a_harvest_within_the_budget_is_said_before_and_after() -> None:
    (one,) = found("0.2")["indexes"]
    assert (round(one["unheld"], 9), round(one["unheld_after"], 4), one["waiting_count"]) == (0, 0.2, 0)
    assert one["sentence"] == (
        "stocks is held as the index i: 3 of 3 securities. Of what the index asks for 0.00% is not held, 20.00% after the trades; its tracking "
        "budget is 20.00%. Furthest from target: X +0.00%, Y +0.00%, Z +0.00%."
    )


def test_harvests_that_wait_are_said_with_their_loss() -> None:
    (one,) = found("0.1")["indexes"]
    assert (one["waiting_count"], one["waiting_loss_usd"]) == (1, 6000)
    assert "Losses of 6,000.00 USD on 1 security wait: the budget has no room for their harvest." in one["sentence"]


def test_what_is_left_out_is_said_and_an_index_that_is_not_held_with_why() -> None:
    (one,) = found("", exclude="Y")["indexes"]
    assert one["sentence"].startswith(
        "stocks is held as the index i: 2 of 3 securities, 1 left out (30.00% of it). Of what the index asks for 30.00% is not held, "
        "28.57% after the trades; no tracking budget limits it."
    )
    assert "no tracking budget limits it" in one["sentence"]
    (none,) = found("", exclude="X|Y|Z")["indexes"]
    assert none["sentence"] == "stocks is not held as the index i: nothing of the index is left to hold."


def test_members_are_one_row_of_sums_and_other_classes_as_they_were() -> None:
    rows = [
        {"asset_class": "bonds", "weight": 0.4, "band": 0.05, "is_out_of_band": False},
        {"asset_class": "US equity::X", "weight": 0.25, "band": 0.01, "is_out_of_band": False},
        {"asset_class": "US equity::Y", "weight": None, "band": 0.01, "is_out_of_band": True},
        {"asset_class": "US equity", "weight": 0.1, "band": None, "is_out_of_band": False},
    ]
    assert folded(rows) == [
        rows[0],
        {"asset_class": "US equity (2 of its index)", "weight": 0.25, "band": None, "is_out_of_band": True},
        rows[3],
    ]
    assert folded(rows[:1]) == rows[:1]


def test_sentences_that_are_the_same_are_said_once_and_others_by_an_example() -> None:
    names = ("A", "B", "C", "D", "E")
    rows = [{"asset_class": f"s::{name}", "code": "wash", "sentence": "No.", "drift_before": -0.01} for name in names]
    rows += [{"asset_class": f"s::{name}", "code": "dear", "sentence": name, "drift_before": 0.02} for name in "FG"]
    first, second = folded_words(rows, ("code",))
    assert (first["asset_class"], first["sentence"]) == ("s, 5 of its index (A, B, C and 2 more)", "No.")
    assert round(first["drift_before"], 12) == -0.05
    assert (second["asset_class"], second["sentence"]) == ("s, 2 of its index (F, G)", "for F, F")
    assert folded_words(rows[:1], ("code",)) == rows[:1]


def test_many_orders_of_members_stand_together_by_side_and_the_rest_alone() -> None:
    orders = [{"asset_class": f"s::{number}", "side": "buy"} for number in range(4)]
    orders += [{"asset_class": "s::9", "side": "sell"}, {"asset_class": "s", "side": "buy"}, {"side": "buy"}]
    rest, many = folded_orders(orders, 3)
    assert rest == orders[4:]
    assert many == [("4 buys of members of the index that s is held as", orders[:4])]
    assert folded_orders(orders, 4) == (orders, [])


def test_where_nothing_has_a_weight_what_is_not_held_is_not_said() -> None:
    (one,) = found("0.2", cash="-200000")["indexes"]
    assert (one["unheld"], one["unheld_after"]) == (None, None)
    assert "is not held" not in one["sentence"]
    assert "Furthest from target: " in one["sentence"]
