"""Sentences about the way a class trades, and about how gains net, that no account of the other tests is likely to need."""

from typing import Any

import pytest

from tasks.core.explain.branches import _sentence
from tasks.core.explain.tax_section import netting_sentence, side_of, side_sentence


def way(name: str, **differs: Any) -> str:
    """The sentence of a class that trades so; where it trades no further dollar would pay."""
    row = {
        "way": name,
        "sold_usd": 0.0,
        "outright_usd": 0.0,
        "bought_usd": 0.0,
        "lost_usd": 0.0,
        "over_usd": 0.0,
        "off_usd": 0.0,
        "near_usd": 50.0,
        "is_owing": False,
        "sell_worth_bps": 0.0,
        "sell_cost_bps": None,
        "buy_worth_bps": 0.0,
        "buy_cost_bps": None,
        "sell_unit_usd": 100.0,
        "buy_unit_usd": 100.0,
        "sell_left_usd": 1e6,
        "buy_left_usd": 1e6,
        "least_usd": 500.0,
        "useful_usd": 0.05,
        "per_cost": 1e-6,
        "lot_dropped": None,
        "buy_dropped": None,
    }
    return _sentence({**row, **differs})


@pytest.mark.parametrize(
    ("name", "differs", "sentence"),
    [
        (
            "replaces",
            {"outright_usd": 1234.5, "bought_usd": 1200.0},
            "Sells 1,234.50 USD outright and buys 1,200.00 USD of another security.",
        ),
        (
            "buys",
            {"bought_usd": 700.0},
            "Buys 700.00 USD though it is not below its destination: there is more cash than can be put elsewhere.",
        ),
        ("sells", {"outright_usd": 900.0}, "Sells 900.00 USD outright: a rule says so."),
        (
            "neither",
            {"off_usd": -300.0, "buy_worth_bps": 3.0, "buy_cost_bps": 2.4},
            "Stays 300.00 USD below its destination: 60.00 USD of it to buy would pay, less than a whole unit.",
        ),
        (
            "neither",
            {"off_usd": -300.0, "buy_worth_bps": 5.0, "buy_cost_bps": 2.0},
            "Stays 300.00 USD below its destination: 300.00 USD of it to buy would pay, less than the smallest order.",
        ),
        (
            "neither",
            {"off_usd": 300.0, "sell_worth_bps": 5.0, "sell_cost_bps": 2.0, "least_usd": 100.0},
            "Stays 300.00 USD above its destination: 300.00 USD of it to sell would pay, less than an order must be worth.",
        ),
        (
            "neither",
            {"off_usd": 900.0, "sell_worth_bps": 9.0, "sell_cost_bps": 2.0, "least_usd": 100.0},
            (
                "Stays 900.00 USD above its destination: 700.00 USD of it to sell would pay in fractions of units; "
                "whole orders are better without it."
            ),
        ),
    ],
)
def test_a_class_says_why_it_trades_as_it_does(name: str, differs: dict[str, Any], sentence: str) -> None:
    assert way(name, **differs) == sentence


@pytest.mark.parametrize(
    ("short", "long", "sentence"),
    [
        (0.0, 0.0, "There is no net gain and no net loss."),
        (10.0, 20.0, "No term is a net loss: each is taxed at its own rate."),
        (-10.0, -20.0, "No term is a net gain: nothing is taxed, and 30.00 USD of loss is left."),
        (
            50.0,
            -20.0,
            (
                "The long-term loss of 20.00 USD is set off against the short-term gain of 50.00 USD: 30.00 USD is left and taxed at "
                "the short-term rate."
            ),
        ),
        (
            -50.0,
            20.0,
            (
                "The short-term loss of 50.00 USD is set off against the long-term gain of 20.00 USD: nothing is taxed, and 30.00 USD "
                "of loss is left."
            ),
        ),
    ],
)
def test_how_the_terms_net_is_said_in_dollars(short: float, long: float, sentence: str) -> None:
    assert netting_sentence(short, long) == sentence


@pytest.mark.parametrize(
    ("short", "long", "rates", "sentence"),
    [
        (
            100.0,
            50.0,
            (0.37, 0.2),
            "The answer lies on side A of the tax: the long-term net, of the lower rate, ends as a gain.",
        ),
        (
            100.0,
            -50.0,
            (0.37, 0.2),
            "The answer lies on side B of the tax: the long-term net, of the lower rate, ends as a loss.",
        ),
        (
            -100.0,
            50.0,
            (0.1, 0.2),
            "The answer lies on side B of the tax: the short-term net, of the lower rate, ends as a loss.",
        ),
        (100.0, -50.0, (0.2, 0.2), None),
    ],
)
def test_the_side_of_the_tax_is_the_lower_rates_own(
    short: float, long: float, rates: tuple[float, float], sentence: str | None
) -> None:
    assert side_sentence(side_of(short, long, rates), rates) == sentence
