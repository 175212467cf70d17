from typing import Any

import polars as pl
import pytest

from tasks.core.facts.facts import Facts
from tasks.core.rules.compile import Problem
from tests.support.facts_table import AS_OF, ago, facts_of, problem_of

LOTS = """
    security_id | lot_id | quantity | unit_cost_usd | acquired_date
    S           | cheap  | 6        | 100           | 2015-01-05
    S           | dear   | 6        | 40            | 2015-01-05
    S           | middle | 8        | 80            | 2015-01-05
"""


def ranged(limits: str, *, policy: dict[str, Any] | None = None, lots: str = LOTS, **drawn: str) -> Facts:
    """The lots of account ``a`` with a range on S, drawn as ``column=value`` words."""
    cells = {
        "account_id": "a",
        "security_id": "S",
        "rule": "hold_range",
        **dict(word.split("=") for word in limits.split()),
    }
    restrictions = f"{' | '.join(cells)}\n{' | '.join(cells.values())}"
    return facts_of(policy, **{"lots": lots, "restrictions": restrictions, **drawn})


def by_lot(problem: Problem, column: str) -> dict[str, Any]:
    frame = problem.lots.filter(pl.col("account_id") == "a").select("lot_id", column)
    return {lot: float(value) if column != "lock" else value for lot, value in frame.rows() if value is not None}


def bought_up_to(problem: Problem) -> tuple[float, str | None]:
    cap, lock = problem.classes.filter(asset_class="stocks", account_id="a").select("buy_cap_usd", "buy_lock").row(0)
    return cap, lock


@pytest.mark.parametrize(
    ("limits", "caps", "locked"),
    [
        ("min_quantity=5", {"cheap": 600, "middle": 800, "dear": 100}, set()),
        ("min_quantity=6", {"cheap": 600, "middle": 800, "dear": 0}, {"dear"}),
        ("min_quantity=10", {"cheap": 600, "middle": 400, "dear": 0}, {"dear"}),
        ("min_value_usd=1000", {"cheap": 600, "middle": 400, "dear": 0}, {"dear"}),
        ("min_value_usd=1050", {"cheap": 600, "middle": 300, "dear": 0}, {"dear"}),
        ("min_quantity=3 min_value_usd=600", {"cheap": 600, "middle": 800, "dear": 0}, {"dear"}),
        ("min_quantity=20", {"cheap": 0, "middle": 0, "dear": 0}, {"cheap", "middle", "dear"}),
        ("min_quantity=90", {"cheap": 0, "middle": 0, "dear": 0}, {"cheap", "middle", "dear"}),
        ("min_quantity=0", {"cheap": 600, "middle": 800, "dear": 600}, set()),
    ],
)
@pytest.mark.parametrize("account", ["account_id=a", "account_id="])
def test_a_minimum_is_kept_of_the_dearest_lots(
    limits: str, caps: dict[str, float], locked: set[str], account: str
) -> None:
    problem = problem_of(ranged(f"{limits} {account}"))
    assert by_lot(problem, "cap_usd") == caps
    assert by_lot(problem, "lock") == dict.fromkeys(locked, "hold_range")
    assert sorted(problem.book.lot_cap.tolist()) == sorted(caps.values())


def test_a_lot_that_cannot_be_sold_counts_towards_the_minimum() -> None:
    lots = LOTS.replace("acquired_date", "acquired_date | is_frozen").replace("2015-01-05", "2015-01-05 | false")
    frozen = lots.replace("80            | 2015-01-05 | false", "80            | 2015-01-05 | true")
    assert by_lot(problem_of(ranged("min_quantity=9", lots=frozen)), "cap_usd") == {
        "cheap": 600,
        "middle": 0,
        "dear": 500,
    }


def test_a_gain_that_is_avoided_is_what_the_minimum_keeps_first() -> None:
    lots = f"""
        security_id | lot_id | quantity | unit_cost_usd | acquired_date
        S           | short  | 5        | 99            | {ago(20)}
        S           | long   | 5        | 50            | 2015-01-05
    """
    problem = problem_of(ranged("min_quantity=7", policy={"short_term_gains": "avoid"}, lots=lots))
    assert by_lot(problem, "lock") == {"short": "short_term_gain_avoided"}
    assert by_lot(problem, "cap_usd") == {"long": 300, "short": 0}


@pytest.mark.parametrize(
    ("limits", "sold"),
    [
        ("max_quantity=15", {"cheap": 5, "middle": 0, "dear": 0}),
        ("max_quantity=13", {"cheap": 6, "middle": 1, "dear": 0}),
        ("max_quantity=12.5", {"cheap": 6, "middle": 2, "dear": 0}),
        ("max_value_usd=1250", {"cheap": 6, "middle": 2, "dear": 0}),
        ("max_quantity=18 max_value_usd=1500", {"cheap": 5, "middle": 0, "dear": 0}),
        ("max_quantity=0", {"cheap": 6, "middle": 8, "dear": 6}),
        ("max_quantity=20", {"cheap": 0, "middle": 0, "dear": 0}),
    ],
)
def test_what_is_above_a_maximum_is_sold_outright_cheapest_first_in_whole_steps(
    limits: str, sold: dict[str, float]
) -> None:
    problem = problem_of(ranged(limits))
    assert by_lot(problem, "outright") == sold
    reasons = dict(problem.lots.select("lot_id", "outright_reason").rows())
    assert {lot for lot, reason in reasons.items() if reason == "hold_range"} == {lot for lot in sold if sold[lot]}
    total = sum(sold.values())
    assert problem.book.class_value.tolist() == [0, 2000 - 100 * total]
    assert problem.book.cash.tolist() == [100 * total]
    assert problem.book.lot_quantity.sum() == 20 - total
    assert problem.classes["value_usd"].to_list() == [0, 2000]
    assert problem.accounts["cash_usd"].to_list() == [0]


def test_half_the_spread_is_paid_on_what_is_sold_outright() -> None:
    securities = "security_id | asset_class | half_spread_bps\n S | stocks | 10\n B | bonds | 0"
    problem = problem_of(ranged("max_quantity=10", securities=securities))
    assert problem.book.cash.tolist() == [1000 - 1]


@pytest.mark.parametrize(
    ("cells", "sold"),
    [
        ("100 | 2015-01-05 | true", 0),
        (" | 2015-01-05 | false", 0),
        ("100 | 2015-01-05 | false", 3),
    ],
)
def test_a_frozen_lot_or_one_of_unknown_basis_is_never_sold_for_a_maximum(cells: str, sold: float) -> None:
    lots = f"security_id | lot_id | quantity | unit_cost_usd | acquired_date | is_frozen\n S | 1 | 10 | {cells}"
    assert by_lot(problem_of(ranged("max_quantity=7", lots=lots)), "outright") == {"1": sold}


@pytest.mark.parametrize("policy", [{"trade_mode": "buy_only"}, {"short_term_gains": "avoid"}, {"unmodelled": "hold"}])
def test_a_maximum_goes_before_what_policy_prefers(policy: dict[str, Any]) -> None:
    lots = f"security_id | quantity | unit_cost_usd | acquired_date\n S | 10 | 90 | {ago(5)}"
    targets = "asset_class | target_weight\n bonds | 1\n cash | 0" if "unmodelled" in policy else None
    drawn = {"model_targets": targets} if targets else {}
    problem = problem_of(ranged("max_quantity=7", policy=policy, lots=lots, **drawn))
    assert by_lot(problem, "outright") == {"1": 3}


@pytest.mark.parametrize(
    ("limits", "cap", "lock"),
    [
        ("max_quantity=25", 500, None),
        ("max_value_usd=2700", 700, None),
        ("max_quantity=20", 0, "hold_range"),
        ("max_quantity=15", 0, "hold_range"),
        ("min_quantity=5", float("inf"), None),
    ],
)
def test_no_more_is_bought_than_a_maximum_leaves(limits: str, cap: float, lock: str | None) -> None:
    problem = problem_of(ranged(limits))
    assert bought_up_to(problem) == (cap, lock)
    assert problem.book.buy_cap.tolist()[1] == cap


def test_a_maximum_holds_for_what_is_not_held_yet() -> None:
    assert bought_up_to(problem_of(ranged("max_quantity=3", lots="security_id | quantity\n B | 10"))) == (300, None)


@pytest.mark.parametrize(("until", "is_in_force"), [(AS_OF.isoformat(), True), (ago(1), False)])
def test_a_range_holds_to_its_last_date(until: str, *, is_in_force: bool) -> None:
    problem = problem_of(ranged(f"max_quantity=20 min_quantity=20 until_date={until}"))
    assert bought_up_to(problem) == ((0, "hold_range") if is_in_force else (float("inf"), None))
    assert bool(by_lot(problem, "lock")) is is_in_force


def test_of_several_ranges_the_tightest_counts() -> None:
    restrictions = """
        account_id | security_id | rule       | min_quantity | max_quantity
        a          | S           | hold_range | 4            | 30
                   | S           | hold_range | 10           |
                   | S           | hold_range | 8            | 22
    """
    problem = problem_of(facts_of(lots=LOTS, restrictions=restrictions))
    assert sum(by_lot(problem, "cap_usd").values()) == 1000
    assert bought_up_to(problem) == (200, None)


def test_a_range_of_one_account_is_nothing_to_another() -> None:
    lots = "account_id | security_id | quantity\n a | S | 10\n b | S | 10"
    problem = problem_of(ranged("max_quantity=4 account_id=b", accounts="account_id\n a\n b", lots=lots))
    assert problem.lots.sort("account_id")["outright"].cast(pl.Float64).to_list() == [0, 6]
    assert bought_up_to(problem) == (float("inf"), None)


def test_gains_sold_outright_are_those_before_the_run_and_use_the_gain_budget_up() -> None:
    accounts = "account_id | ytd_short_gain_usd | ytd_long_gain_usd\n a | 7 | 11"
    lots = f"""
        security_id | lot_id | quantity | unit_cost_usd | acquired_date
        S           | short  | 10       | 90            | {ago(20)}
        S           | long   | 10       | 50            | 2015-01-05
    """
    facts = ranged("max_quantity=4", policy={"max_realized_gain_usd": 450}, accounts=accounts, lots=lots)
    problem = problem_of(facts)
    assert by_lot(problem, "outright") == {"short": 10, "long": 6}
    assert problem.limits.short_before.tolist() == pytest.approx([7 + 100])
    assert problem.limits.long_before.tolist() == pytest.approx([11 + 300])
    assert problem.limits.gain.tolist() == pytest.approx([50])


def test_a_loss_sold_outright_makes_room_for_gains_but_not_where_it_was_bought_back() -> None:
    lots = f"""
        account_id | security_id | lot_id | quantity | unit_cost_usd | acquired_date
        a          | S           | 1      | 10       | 110           | 2015-01-05
        ira        | S           | new    | 4        | 100           | {ago(3)}
    """
    accounts = "account_id | household_id | tax_status\n a | h | taxable\n ira | h | tax_deferred"
    facts = ranged("max_quantity=0 account_id=a", policy={"max_realized_gain_usd": 50}, lots=lots, accounts=accounts)
    problem = problem_of(facts)
    assert problem.limits.gain.tolist()[0] == pytest.approx(50 + 60)
    assert problem.limits.long_before.tolist()[0] == pytest.approx(-60)
    assert problem.limits.short_before.tolist()[0] == 0


def test_a_lot_of_the_highest_cost_that_is_partly_sold_keeps_its_rest() -> None:
    lots = "security_id | lot_id | quantity | unit_cost_usd\n S | old | 10 | 60\n S | dear | 10 | 95"
    problem = problem_of(ranged("max_quantity=16", lots=lots))
    assert by_lot(problem, "outright") == {"old": 0, "dear": 4}
    assert by_lot(problem, "start_quantity") == {"old": 10, "dear": 6}
    assert by_lot(problem, "cap_usd") == {"old": 1_000, "dear": 600}
