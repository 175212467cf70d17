"""Baskets that follow an index: by hand on three securities, and hunted on random indices against a convex solver."""

from dataclasses import replace
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.enums import Reason
from schemas.landing_columns import dtypes
from tasks.core.facts.facts import Facts
from tasks.core.propose.reasons import class_reasons
from tasks.core.propose.solved import Solved
from tasks.core.solver.entry import rebalance
from tasks.core.solver.solution import CANNOT_RAISE_CASH
from tests.support.books import pick
from tests.support.examples import at_most
from tests.support.facts_table import AS_OF, ago, by_class, facts_of, problem_of, solved_of, table, traded
from tests.support.referees import apart_optimum

SECURITIES = """
    security_id | asset_class | quantity_step
    X           | stocks      | 0.001
    Y           | stocks      | 0.001
    Z           | stocks      | 0.001
    E           | stocks      | 0.001
    B           | bonds       | 0.001
"""
WEIGHTS = "security_id | weight\nX | 0.5\nY | 0.3\nZ | 0.2"
AT_TARGET = """
    security_id | quantity | unit_cost_usd
    X           | 300      | 90
    Y           | 180      | 90
    Z           | 120      | 150
    B           | 400      | 100
"""
"""NAV 100,000, each at its target; Z, 12,000 USD and a fifth of the class, has lost 6,000."""
HARVEST = {"is_harvesting": True}
TRADES = "security_id | account_id | trade_date | side | quantity | price_usd | realized_gain_usd"


def held(lots: str = AT_TARGET, *, exclude: str | None = None, budget: float | None = None, **drawn: str) -> Facts:
    """One account that holds its stocks as X, Y and Z."""
    policy = HARVEST if drawn.pop("policy", "harvest") == "harvest" else {}
    plain = facts_of(
        policy,
        **{
            "securities": SECURITIES,
            "buy_list": "asset_class | security_id\nstocks | E\nbonds | B",
            "lots": lots,
            **drawn,
        },
    )
    direct = table("direct_indexes", "account_id\na").with_columns(
        exclude=pl.lit(exclude, pl.String), tracking_budget=pl.lit(budget, pl.Float64)
    )
    return plain.with_indexes(direct, table("index_weights", WEIGHTS))


def shares(solved: Solved) -> dict[str, float]:
    return {name: round(number, 2) for name, number in traded(solved).items()}


def test_cash_is_spent_to_the_weights_of_the_index() -> None:
    found = shares(solved_of(held("security_id | quantity\nB | 400", cash="settled_usd\n60000")))
    assert found == pytest.approx({"X": 300, "Y": 180, "Z": 120}, abs=0.01)


def test_what_is_excluded_is_not_bought_and_what_is_held_of_it_is_sold() -> None:
    """Y's 18,000 go to X and Z, 5 to 2; E is of the class and not of the index."""
    lots = "security_id | quantity\nY | 100\nE | 50\nB | 400"
    found = shares(solved_of(held(lots, exclude="Y", cash="settled_usd\n45000")))
    assert found == pytest.approx({"X": 60_000 * 5 / 700, "Z": 60_000 * 2 / 700, "Y": -100, "E": -50}, abs=0.01)


def test_a_loss_is_harvested_and_the_others_of_the_index_stand_in() -> None:
    """12,000 of Z go to X and Y, 5 to 3."""
    assert shares(solved_of(held())) == pytest.approx({"X": 75, "Y": 45, "Z": -120}, abs=0.01)


@pytest.mark.parametrize(("budget", "is_harvested"), [(0.2, True), (0.199, False), (0.0, False), (1.0, True)])
def test_a_harvest_that_the_budget_has_no_room_for_waits(budget: float, *, is_harvested: bool) -> None:
    found = shares(solved_of(held(budget=budget)))
    assert found == (pytest.approx({"X": 75, "Y": 45, "Z": -120}, abs=0.01) if is_harvested else {})


def test_of_harvests_that_do_not_fit_together_the_one_that_brings_most_for_its_weight_goes() -> None:
    """Y loses 2 for a dollar unheld, Z half of one: the fifth of Z alone would fit, and the 0.3 of Y."""
    lots = AT_TARGET.replace("Y           | 180      | 90", "Y           | 180      | 300")
    found = shares(solved_of(held(lots, budget=0.4)))
    assert set(found) == {"X", "Y", "Z"}
    assert (found["Y"], found["Z"] > 0) == (-180, True)


def test_within_the_wash_sale_window_it_is_not_bought_back_and_the_reason_is_said() -> None:
    trades = f"{TRADES}\nZ | a | {ago(10)} | sell | 120 | 100 | -6000"
    lots = "\n".join(line for line in AT_TARGET.splitlines() if "Z  " not in line)
    solved = solved_of(held(lots, cash="settled_usd\n12000", trades=trades))
    assert shares(solved) == pytest.approx({"X": 75, "Y": 45}, abs=0.01)
    (row,) = class_reasons(solved).to_dicts()
    assert (row["asset_class"], row["code"]) == ("stocks::Z", Reason.WASH_SALE_WINDOW)


def test_after_the_window_it_is_bought_again() -> None:
    trades = f"{TRADES}\nZ | a | {ago(31)} | sell | 120 | 100 | -6000"
    lots = "security_id | quantity\nX | 375\nY | 225\nB | 400"
    found = shares(solved_of(held(lots, policy="keep", trades=trades)))
    assert found == pytest.approx({"X": -75, "Y": -45, "Z": 120}, abs=0.01)


def test_a_withdrawal_sells_no_member_below_what_the_budget_leaves_of_it() -> None:
    """20,000 leave, and X and Y are dear to sell: Z alone could pay, and may go down by its part of the budget only."""
    lots = "security_id | quantity | unit_cost_usd\nX | 300 | 10\nY | 180 | 10\nZ | 120 | 100\nB | 400 | 10"
    owing = {"policy": "keep", "cash": "settled_usd\n-12000"}
    free = shares(solved_of(held(lots, **owing)))
    bound = solved_of(held(lots, budget=0.05, **owing))
    assert free["Z"] < -60
    assert unheld(bound) <= 0.05 + 1e-9
    assert -shares(bound)["Z"] <= 120 - 120 * 0.88 * 0.95 + 0.01


def unheld(solved: Solved, account: str = "a") -> float:
    """U / T after the trades, by itself: from target weights and values of the frames."""
    own = solved.classes.filter(account_id=account).join(
        solved.accounts.select("account_id", "nav_usd"), on="account_id"
    )
    own = own.filter(pl.col("asset_class").str.contains("::"))
    target = own["target_weight"].to_numpy() * own["nav_usd"].cast(pl.Float64).to_numpy()
    return float(np.maximum(target - own["governed_after_usd"].cast(pl.Float64).to_numpy(), 0).sum() / target.sum())


def test_a_basket_that_is_already_too_far_is_made_no_worse() -> None:
    """Only X is held: half of the index is not there. X goes to its target, 24,000, and no further for its tax; all the rest buys what lacks."""
    lots = "security_id | quantity | unit_cost_usd\nX | 300 | 200\nB | 400 | 100"
    solved = solved_of(held(lots, budget=0.1, cash="settled_usd\n10000"))
    assert shares(solved) == pytest.approx({"B": -80, "X": -60, "Y": 144, "Z": 96}, abs=0.01)
    free = shares(solved_of(held(lots, cash="settled_usd\n10000")))
    assert free["X"] == -300


def test_an_index_of_one_security_trades_as_the_class_to_the_byte() -> None:
    one = "security_id | weight\nE | 1"
    rng = np.random.default_rng(7)
    for number in range(at_most(12)):
        lots = "\n".join(
            f"{name} | {lot} | {rng.integers(1, 500)} | {rng.integers(60, 150)} | {AS_OF - timedelta(days=int(rng.integers(1, 900)))}"
            for name in ("E", "B")
            for lot in range(3)
        )
        drawn = {
            "securities": SECURITIES,
            "buy_list": "asset_class | security_id\nstocks | E\nbonds | B",
            "lots": "security_id | lot_id | quantity | unit_cost_usd | acquired_date\n" + lots,
            "cash": f"settled_usd\n{int(rng.integers(-4000, 20_000))}",
        }
        plain = facts_of({"min_trade_usd": float(number * 20), "is_harvesting": number % 2 == 1}, **drawn)
        direct = table("direct_indexes", "account_id | tracking_budget\na | 1")
        solved, same = solved_of(plain), solved_of(plain.with_indexes(direct, table("index_weights", one)))
        for frame in ("accounts", "classes", "lots"):
            left, right = getattr(solved, frame), getattr(same, frame)
            if frame != "accounts":
                right = right.with_columns(pl.col("asset_class").str.split("::").list.first())
            names = [name for name in left.columns if name not in {"model_id", "tilted_model_id"}]
            assert left.select(names).equals(right.select(names)), frame


def test_an_order_of_an_index_must_be_worth_its_part_of_what_an_order_must_be() -> None:
    """0.05 basis points of 100,000 USD, of an index of three a third of that each; of an index of one, and without one, all of it."""
    useful = problem_of(held(policy="keep")).accounts["useful_usd"].item()
    assert useful == 0.5 / 3
    assert problem_of(held(exclude="Z")).accounts["useful_usd"].item() == 0.25
    plain = facts_of({"min_trade_usd": 0.0}, securities=SECURITIES, lots=AT_TARGET)
    assert problem_of(plain).accounts["useful_usd"].item() == 0


class Drawn(NamedTuple):
    """A random index and accounts that hold it."""

    facts: Facts
    budget: float | None
    excluded: frozenset[str]


def random_world(seed: int, most: int) -> Drawn:
    """Indices of 30 to ``most`` names; accounts with lots at gains and losses, cash, exclusions, sales in the window, a withdrawal."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(30, most + 1))
    names = [f"S{number:03}" for number in range(count)]
    weight = rng.lognormal(0, 1, count)
    weight = weight / weight.sum()
    price = np.round(rng.uniform(5, 400, count), 2)
    step = rng.choice(["1", "0.001"])
    nav = 10 ** rng.uniform(4.5, 6.5)
    excluded = frozenset(name for name in names if rng.random() < 0.05)
    budget = None if rng.random() < 0.2 else float(rng.choice([0.0, 0.01, 0.03, 0.1, 0.5]))
    is_near = bool(rng.random() < 0.6)
    owed = rng.uniform(0.02, 0.3) if rng.random() < 0.5 else -rng.uniform(0, 0.15)
    cheap = rng.uniform(0.5, 1.6, count) if rng.random() < 0.5 else np.ones(count)
    lots = []
    for number, name in enumerate(names):
        parts = (
            rng.dirichlet(np.ones(2)) * rng.uniform(0.97, 1.03)
            if is_near
            else rng.uniform(0, 0.8, int(rng.integers(0, 3)))
        )
        for lot, part in enumerate(parts):
            held = max(1, round(nav * 0.9 * weight[number] / price[number] * part))
            day = date(2024, 6, 1) + timedelta(days=int(rng.integers(0, 620)))
            lots.append(
                f"{name} | {lot} | {held} | {price[number] * cheap[number] * rng.uniform(0.8, 1.1):.2f} | {day}"
            )
    sold = [
        f"{name} | a | {ago(int(rng.integers(1, 40)))} | sell | 10 | 9 | -500" for name in names if rng.random() < 0.03
    ]
    policy = {
        "is_harvesting": bool(rng.random() < 0.7),
        "harvest_min_loss_usd": float(rng.choice([50, 500])),
        "tracking_penalty": float(rng.choice([0.5, 2, 20])),
        "min_trade_usd": float(rng.choice([0, 0, 100])),
    }
    plain = facts_of(
        policy,
        securities="security_id | asset_class | quantity_step | half_spread_bps\nB | bonds | 0.001 | 2\n"
        + "\n".join(f"{name} | stocks | {step} | {rng.uniform(0, 20):.1f}" for name in names),
        prices="security_id | price_usd\nB | 50\n"
        + "\n".join(f"{name} | {each}" for name, each in zip(names, price, strict=True)),
        model_targets="asset_class | target_weight | relative_band\nstocks | 0.9 | 0.25\nbonds | 0.08 | 0.25\ncash | 0.02 |",
        buy_list="asset_class | security_id\nbonds | B",
        lots="security_id | lot_id | quantity | unit_cost_usd | acquired_date\n"
        + "\n".join([f"B | 0 | {max(1, round(nav * 0.08 / 50))} | 49 | 2020-01-02", *lots]),
        cash=f"settled_usd\n{-nav * owed:.2f}",
        **({"trades": "\n".join([TRADES, *sold])} if sold else {}),
    )
    rows = pl.DataFrame({"index_id": "i", "security_id": names, "weight": weight, "weight_date": AS_OF})
    direct = table("direct_indexes", "account_id\na").with_columns(
        tracking_budget=pl.lit(budget, pl.Float64), exclude=pl.lit("|".join(sorted(excluded)) or None, pl.String)
    )
    return Drawn(plain.with_indexes(direct, rows.select(dtypes("index_weights").keys())), budget, excluded)


def unheld_before(facts: Facts) -> float:
    """U / T of what is held, from lots and prices alone."""
    price = dict(facts.prices.select("security_id", pl.col("price_usd").cast(pl.Float64)).rows())
    value: dict[str, float] = {}
    for name, quantity in facts.lots.select("security_id", pl.col("quantity").cast(pl.Float64)).rows():
        value[name] = value.get(name, 0.0) + quantity * price[name]
    nav = sum(value.values()) + float(facts.cash["settled_usd"].item())
    asked = {name: 0.9 * share * nav for name, share in facts.index_members.select("security_id", "share").rows()}
    return sum(max(usd - value.get(name, 0.0), 0.0) for name, usd in asked.items()) / sum(asked.values())


@settings(max_examples=at_most(25), deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_trade_crosses_the_budget_and_nothing_excluded_is_bought(seed: int) -> None:
    world = random_world(seed, 60)
    solved = solved_of(world.facts)
    bought = set(solved.classes.filter(pl.col("bought") > 0)["buy_security_id"])
    assert not bought & world.excluded
    assert not bought & set(
        world.facts.trades.filter(pl.col("trade_date") >= AS_OF - timedelta(days=30))["security_id"]
    )
    if solved.accounts["status"].item() == CANNOT_RAISE_CASH:
        return
    if world.budget is not None:
        assert unheld(solved) <= max(world.budget, unheld_before(world.facts)) + 1e-6
    out = set(by_class(solved.lots.filter(pl.col("outright") > 0), "security_id").values())
    assert not out & bought


@settings(max_examples=at_most(8), deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_answer_on_a_random_index_is_below_its_bound_nor_the_bound_above_a_convex_solver(seed: int) -> None:
    facts = random_world(seed, 300).facts
    problem = problem_of(facts)
    answer = rebalance(problem.book, problem.limits)
    wanted = apart_optimum(*pick(problem.book, problem.limits, np.array([0])))
    nav = problem.book.nav[0]
    if wanted is None:
        assert answer.status[0] == CANNOT_RAISE_CASH
        return
    assert answer.lower_bound[0] <= wanted + 1e-7 * nav
    assert answer.objective[0] >= answer.lower_bound[0] - 1e-9 * nav
    assert answer.objective[0] >= wanted - 1e-7 * nav


def test_the_bounds_of_a_budget_are_those_of_the_arrays() -> None:
    """The hunters above see the budget as bounds on lots; here they are looked for in the arrays that the solver gets."""
    facts = held(budget=0.05, policy="keep")
    free = problem_of(
        replace(facts, index_members=facts.index_members.with_columns(tracking_budget=pl.lit(None, pl.Float64)))
    )
    bound = problem_of(facts)
    caps = dict(bound.lots.select("security_id", "cap_usd").rows())
    assert {name: round(caps[name], 6) for name in "XYZ"} == {"X": 1500, "Y": 900, "Z": 600}
    assert dict(free.lots.select("security_id", "cap_usd").rows())["X"] == 30_000
