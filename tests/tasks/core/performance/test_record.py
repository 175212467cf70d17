"""The record of accounts, night by night: what is known by hand, and what must add up whatever happens."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
from polars.testing import assert_frame_equal

from schemas.enums import FlowSource, ReturnMethod
from tasks.core.facts.facts import Facts
from tasks.core.performance.attribution import EFFECTS
from tasks.core.performance.night import joined_nights
from tests.support.performance_book import before_of, facts_on, night_on, recorded

ONE, TWO, THREE = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)
LOTS: Final = """
    security_id | lot_id | quantity | unit_cost_usd | acquired_date
    S           | 1      | 6        | 100           | 2015-01-05
    B           | 2      | 4        | 100           | 2015-01-05
"""


def prices(stocks: float, bonds: float) -> str:
    return f"security_id | price_usd\nS | {stocks}\nB | {bonds}"


def cash(settled: float, pending: float = 0) -> str:
    return f"settled_usd | pending_usd\n{settled} | {pending}"


def flows_of(*rows: tuple[date, float]) -> pl.DataFrame:
    return pl.DataFrame(
        [("a", day, amount) for day, amount in rows],
        schema={"account_id": pl.String, "flow_date": pl.Date, "amount_usd": pl.Float64},
        orient="row",
    )


def night(day: date, stocks: float = 100, bonds: float = 100, **drawn: str) -> Facts:
    return facts_on(day, {"lots": LOTS, "prices": prices(stocks, bonds), **drawn})


def row(tables: dict[str, pl.DataFrame]) -> dict[str, object]:
    return tables["performance"].row(0, named=True)


def by_class(tables: dict[str, pl.DataFrame], column: str) -> dict[str, float]:
    return dict(tables["attribution"].select("asset_class", column).rows())


def test_an_account_begins_with_nothing_earned() -> None:
    (first,) = recorded([night(ONE, cash=cash(100))])
    found = row(first)
    assert found["value_usd"] == 1100
    assert found["method"] == ReturnMethod.FIRST
    assert found["flow_source"] == FlowSource.NONE
    assert (found["daily_return"], found["inception_return"], found["night_count"]) == (None, 0, 1)
    assert (found["since_date"], found["since_run_id"], found["night_run_id"]) == (None, None, "run-0")
    assert by_class(first, "residual") == {"bonds": None, "cash": None, "stocks": None}


def test_an_account_on_its_target_earns_what_its_model_earns() -> None:
    first, second, third = recorded([night(ONE), night(TWO, 110), night(THREE, 110, 90)])
    assert row(second)["daily_return"] == pytest.approx(0.06)
    assert row(second)["model_return"] == pytest.approx(0.06)
    assert row(second)["tracking_difference"] == pytest.approx(0, abs=1e-15)
    assert row(third)["daily_return"] == pytest.approx(1020 / 1060 - 1)
    assert row(third)["inception_return"] == pytest.approx(0.02)
    assert row(third)["since_run_id"] == "run-1"
    assert (row(third)["night_count"], row(third)["inception_date"]) == (3, ONE)
    assert row(first)["model_return"] is None


def test_drift_is_allocation_and_nothing_else() -> None:
    """After stocks gained 10 % they weigh 660 of 1,060 and not 636; then bonds lose 10 %: 24 less of them were held."""
    *_, third = recorded([night(ONE), night(TWO, 110), night(THREE, 110, 90)])
    expected = 0.1 * 24 / 1060
    assert row(third)["tracking_difference"] == pytest.approx(expected)
    assert sum(by_class(third, "allocation").values()) == pytest.approx(expected)
    assert by_class(third, "residual") == pytest.approx({"bonds": 0, "cash": 0, "stocks": 0}, abs=1e-15)


def test_a_trade_at_tonights_price_costs_its_spread_and_moves_nothing_else() -> None:
    """One share of bonds is sold and one of stocks bought at 10 bp off the price: 2 x 0.1 USD less."""
    after = """
        security_id | lot_id | quantity
        S           | 1      | 7
        B           | 2      | 3
    """
    spread = """
        security_id | asset_class | half_spread_bps
        S           | stocks      | 10
        B           | bonds       | 10
    """
    trades = f"""
        security_id | trade_date | side | quantity | price_usd | realized_gain_usd
        S           | {TWO}      | buy  | 1        | 100.1     |
        B           | {TWO}      | sell | 1        | 99.9      | 0
    """
    first = night(ONE, securities=spread, cash=cash(10))
    second = night(TWO, securities=spread, trades=trades, lots=after, cash=cash(9.8))
    _, found = recorded([first, second], reported=flows_of())
    assert row(found)["daily_return"] == pytest.approx(-0.2 / 1010)
    assert by_class(found, "trading_cost") == pytest.approx(
        {"bonds": -0.0999 / 1010, "cash": 0, "stocks": -0.1001 / 1010}
    )
    assert by_class(found, "residual") == pytest.approx({"bonds": 0, "cash": 0, "stocks": 0}, abs=2e-7)


def test_a_gain_that_is_realized_costs_its_tax_when_it_is_realized() -> None:
    """50 USD of short-term gain at 40 %: 20 USD, on stocks, whose sale made it."""
    ytd = "account_id | ytd_short_gain_usd\na | 50"
    trades = (
        f"security_id | trade_date | side | quantity | price_usd | realized_gain_usd\nS | {TWO} | sell | 1 | 100 | 50"
    )
    fewer = LOTS.replace("| 6 ", "| 5 ")
    _, found = recorded(
        [night(ONE), night(TWO, accounts=ytd, trades=trades, lots=fewer, cash=cash(100))], reported=flows_of()
    )
    assert row(found)["tax_usd"] == 20
    assert row(found)["daily_return"] == 0
    assert row(found)["after_tax_return"] == pytest.approx(-0.02)
    assert row(found)["tracking_difference"] == pytest.approx(-0.02)
    assert by_class(found, "tax") == pytest.approx({"bonds": 0, "cash": 0, "stocks": -0.02})
    assert row(found)["realized_short_usd"] == 50


def test_tax_of_which_no_trade_says_where_it_is_from_stands_on_cash() -> None:
    ytd = "account_id | ytd_long_gain_usd\na | 50"
    _, found = recorded([night(ONE, cash=cash(1)), night(TWO, accounts=ytd, cash=cash(1))])
    assert by_class(found, "tax") == pytest.approx({"bonds": 0, "cash": -10 / 1001, "stocks": 0})


def test_a_loss_gives_tax_back_to_the_classes_that_made_it() -> None:
    gain = "account_id | ytd_short_gain_usd\na | 50"
    less = "account_id | ytd_short_gain_usd\na | 20"
    trades = f"""
        security_id | trade_date | side | quantity | price_usd | realized_gain_usd
        S           | {TWO}      | sell | 1        | 100       | -40
        B           | {TWO}      | sell | 1        | 100       | 10
    """
    fewer = LOTS.replace("| 6 ", "| 5 ").replace("| 4 ", "| 3 ")
    _, found = recorded(
        [night(ONE, accounts=gain), night(TWO, accounts=less, trades=trades, lots=fewer, cash=cash(200))]
    )
    assert row(found)["tax_usd"] == -12
    assert by_class(found, "tax") == pytest.approx({"bonds": 0, "cash": 0, "stocks": 0.012})


def test_a_year_that_begins_owes_nothing_of_the_last() -> None:
    gain = "account_id | ytd_short_gain_usd | ytd_long_gain_usd\na | 50 | 10"
    new = "account_id | ytd_short_gain_usd | ytd_long_gain_usd\na | 5 | 1"
    _, found = recorded([night(date(2025, 12, 31), accounts=gain), night(date(2026, 1, 2), accounts=new)])
    assert row(found)["tax_usd"] == Decimal("2.2")
    assert (row(found)["realized_short_usd"], row(found)["realized_long_usd"]) == (5, 1)


def test_what_a_sale_of_everything_would_owe() -> None:
    """6 shares with 10 USD of long-term gain each at 20 %: 12 USD of 1,060."""
    _, found = recorded([night(ONE), night(TWO, 110)])
    assert row(found)["after_tax_return"] == pytest.approx(0.06)
    assert row(found)["liquidated_return"] == pytest.approx(1.06 * (1 - 12 / 1060) - 1)


def test_an_account_that_pays_no_tax_owes_none() -> None:
    exempt = "account_id | tax_status | ytd_short_gain_usd\na | tax_exempt | 100"
    _, found = recorded([night(ONE), night(TWO, 110, accounts=exempt)])
    assert (row(found)["tax_usd"], row(found)["liquidated_return"]) == (0, pytest.approx(0.06))


def test_a_reported_flow_is_not_earned() -> None:
    nights = [night(ONE), night(TWO, 110, cash=cash(500))]
    _, found = recorded(nights, reported=flows_of((TWO, 495), (ONE, 7), (THREE, 9)))
    assert (row(found)["flow_usd"], row(found)["flow_source"]) == (495, FlowSource.REPORTED)
    assert row(found)["daily_return"] == pytest.approx(0.065)
    assert sum(by_class(found, "residual").values()) == pytest.approx(0.005)
    assert row(found)["method"] == ReturnMethod.LINKED


def test_a_flow_between_missed_nights_counts_by_its_time_and_says_so() -> None:
    late = date(2026, 3, 12)
    nights = [facts_on(ONE, {"lots": None, "cash": cash(100)}), facts_on(late, {"lots": None, "cash": cash(300)})]
    _, found = recorded(nights, reported=flows_of((date(2026, 3, 7), 50)), sessions=8)
    assert row(found)["daily_return"] == pytest.approx(1.2)
    assert row(found)["method"] == ReturnMethod.MODIFIED_DIETZ
    half = 1.5**2 - 1
    assert row(found)["money_weighted_return"] == pytest.approx(half, abs=1e-8)


def test_cash_that_nothing_explains_is_a_flow_and_what_a_trade_explains_is_none() -> None:
    fewer = LOTS.replace("| 6 ", "| 5 ")
    trades = f"security_id | trade_date | side | quantity | price_usd\nS | {TWO} | sell | 1 | 100"
    _, found = recorded([night(ONE), night(TWO, trades=trades, lots=fewer, cash=cash(100))])
    assert (row(found)["flow_usd"], row(found)["daily_return"]) == (0, 0)
    _, found = recorded([night(ONE), night(TWO, trades=trades, lots=fewer, cash=cash(100, 250))])
    assert (row(found)["flow_usd"], row(found)["flow_source"]) == (250, FlowSource.INFERRED)
    assert row(found)["daily_return"] == 0


def test_a_fee_of_a_few_cents_is_earned_and_not_paid_in() -> None:
    _, found = recorded([night(ONE, cash=cash(10)), night(TWO, cash=cash(9.5))])
    assert (row(found)["flow_usd"], row(found)["daily_return"]) == (0, pytest.approx(-0.5 / 1010))


def test_shares_that_come_in_kind_are_a_flow_at_tonights_price() -> None:
    more = LOTS.replace("| 4 ", "| 9 ")
    _, found = recorded([night(ONE), night(TWO, 110, 90, lots=more)])
    assert (row(found)["flow_usd"], row(found)["daily_return"]) == (450, pytest.approx(0.02))
    _, gone = recorded([night(ONE), night(TWO, 110, 90, lots=LOTS.partition("B")[0])])
    assert (row(gone)["flow_usd"], row(gone)["daily_return"]) == (-360, pytest.approx(0.02))


def test_shares_that_split_are_no_flow() -> None:
    twice = LOTS.replace("| 6 ", "| 12 ")
    _, found = recorded([night(ONE), night(TWO, 51, lots=twice)])
    assert (row(found)["flow_usd"], row(found)["daily_return"]) == (0, pytest.approx(0.012))
    assert row(found)["model_return"] == pytest.approx(0.012)
    assert found["splits"].rows() == [("a", "S", 2.0)]


def test_shares_bought_after_a_fall_are_no_split() -> None:
    """The price halves and as much is bought again: it fell, and nothing split."""
    trades = f"security_id | trade_date | side | quantity | price_usd\nS | {TWO} | buy | 6 | 50"
    twice = LOTS.replace("| 6 ", "| 12 ")
    _, found = recorded([night(ONE, cash=cash(300)), night(TWO, 50, lots=twice, trades=trades)])
    assert (row(found)["flow_usd"], row(found)["daily_return"]) == (0, pytest.approx(-300 / 1300))
    assert found["splits"].is_empty()


def test_cash_that_a_merger_was_to_bring_is_no_flow() -> None:
    from schemas.tables import USD  # noqa: PLC0415
    from tasks.core.performance import NightTerms, next_rows  # noqa: PLC0415

    first = night(ONE)
    (tables,) = recorded([first])
    then = night_on(first)
    kept = then.holdings.filter(pl.col("security_id") == "B")
    due = pl.DataFrame({"account_id": ["a"], "due_usd": [600]}, schema={"account_id": pl.String, "due_usd": USD})
    nobody = pl.DataFrame(schema={"account_id": pl.String, "flow_date": pl.Date, "flow_usd": pl.Float64})
    before = before_of(tables, then, nobody, due=due)
    merged = before.__class__(
        **{**vars(before), "holdings": kept.select("account_id", "security_id", "quantity", unit_then_usd="unit_usd")}
    )
    after = night(TWO, lots="security_id | quantity\nB | 4", cash=cash(600))
    found = next_rows(merged, night_on(after), NightTerms("run-1"))
    assert (row(found)["flow_usd"], row(found)["daily_return"]) == (0, 0)


def test_an_account_that_is_emptied_and_filled_again_goes_on() -> None:
    nothing = {"lots": None}
    nights = [
        facts_on(ONE, {"lots": LOTS, "prices": prices(100, 100)}),
        facts_on(TWO, {**nothing, "prices": prices(110, 100)}),
        facts_on(THREE, {**nothing, "cash": cash(100), "prices": prices(110, 100)}),
    ]
    _, second, third = recorded(nights)
    assert (row(second)["value_usd"], row(second)["daily_return"]) == (0, pytest.approx(0.06))
    assert (row(third)["method"], row(third)["daily_return"]) == (ReturnMethod.NO_VALUE, None)
    assert row(third)["inception_return"] == pytest.approx(0.06)
    assert row(third)["flow_usd"] == 100
    assert row(third)["tracking_difference"] is None


def test_a_class_that_the_model_buys_otherwise_is_in_the_residual() -> None:
    """The model's first choice of stocks is O, which gains 5 %; the account holds S, which gains 10 %."""
    drawn = {
        "securities": "security_id | asset_class\nS | stocks\nB | bonds\nO | stocks",
        "buy_list": "asset_class | security_id | rank\nstocks | O | 1\nstocks | S | 2\nbonds | B | 1",
    }
    first = facts_on(ONE, {**drawn, "lots": LOTS, "prices": "security_id | price_usd\nS | 100\nB | 100\nO | 100"})
    second = facts_on(TWO, {**drawn, "lots": LOTS, "prices": "security_id | price_usd\nS | 110\nB | 100\nO | 105"})
    _, found = recorded([first, second])
    assert row(found)["model_return"] == pytest.approx(0.03)
    assert by_class(found, "residual") == pytest.approx({"bonds": 0, "cash": 0, "stocks": 0.03})


def test_turnover_and_cost_are_of_what_was_traded_and_not_of_targets() -> None:
    """Nothing was traded, though the account drifted: nothing was paid."""
    *_, third = recorded([night(ONE), night(TWO, 150), night(THREE, 70, 120)])
    assert set(by_class(third, "trading_cost").values()) == {0}


def test_the_entry_costs_its_spread() -> None:
    spread = "security_id | asset_class | half_spread_bps\nS | stocks | 10\nB | bonds | 0"
    trades = f"security_id | trade_date | side | quantity | price_usd\nS | {TWO} | buy | 6 | 100.1"
    first = facts_on(ONE, {"lots": None, "securities": spread, "cash": cash(1000)})
    lots = "security_id | quantity\nS | 6"
    second = facts_on(TWO, {"lots": lots, "securities": spread, "trades": trades, "cash": cash(399.4)})
    _, found = recorded([first, second], reported=flows_of())
    assert row(found)["daily_return"] == pytest.approx(-0.0006)
    assert by_class(found, "trading_cost")["stocks"] == pytest.approx(-0.0006006)


def test_buying_and_holding_is_charged_nothing_night_after_night() -> None:
    spread = "security_id | asset_class | half_spread_bps\nS | stocks | 50\nB | bonds | 50"
    found = recorded([night(ONE + timedelta(days=day), securities=spread) for day in range(6)])
    assert row(found[-1])["inception_return"] == 0


def test_the_money_weighted_return_of_an_account_without_flows_is_the_time_weighted() -> None:
    *_, third = recorded([night(ONE), night(TWO, 110), night(THREE, 110, 90)])
    assert row(third)["money_weighted_return"] == row(third)["inception_return"]


@pytest.fixture(scope="module")
def year() -> list[dict[str, pl.DataFrame]]:
    """A year of nights of 40 accounts that trade, are paid into and out of, move shares in kind and realize gains, all at random."""
    rng = np.random.default_rng(11)
    return recorded(random_nights(rng, accounts=40, nights=252))


def random_nights(rng: np.random.Generator, accounts: int, nights: int) -> list[Facts]:
    names = [f"a{number:02}" for number in range(accounts)]
    price = {"S": 100.0, "B": 50.0, "X": 20.0}
    held = {(name, security): int(rng.integers(0, 50)) for name in names for security in price}
    settled = {name: round(float(rng.uniform(-50, 5000)), 2) for name in names}
    gains = dict.fromkeys(names, 0.0)
    day, found = date(2025, 1, 2), []
    securities = "security_id | asset_class | half_spread_bps\nS | stocks | 3\nB | bonds | 2\nX | other | 9"
    for _ in range(nights):
        price = {name: round(max(1.0, usd * (1 + rng.normal(0, 0.02))), 4) for name, usd in price.items()}
        trades = []
        for name in names:
            if rng.random() < 0.2:
                security, count = str(rng.choice(list(price))), int(rng.integers(-10, 11))
                count = max(count, -held[name, security])
                paid = round(price[security] * (1 + rng.normal(0, 0.003)), 4)
                if count:
                    held[name, security] += count
                    settled[name] = round(settled[name] - count * paid, 6)
                    gain = round(float(rng.normal(0, 30)), 2) if count < 0 else 0.0
                    gains[name] += gain
                    side = "buy" if count > 0 else "sell"
                    trades.append(
                        f"{name} | {security} | {day} | {side} | {abs(count)} | {paid} | {gain if count < 0 else ''}"
                    )
            if rng.random() < 0.05:
                settled[name] = round(settled[name] + float(rng.normal(0, 2000)), 2)
            if rng.random() < 0.02:
                held[name, "B"] += int(rng.integers(1, 20))
        lots = [f"{name} | {security} | {count}" for (name, security), count in held.items() if count]
        found.append(
            facts_on(
                day,
                {
                    "accounts": "account_id | ytd_short_gain_usd\n"
                    + "\n".join(f"{name} | {gains[name]:.2f}" for name in names),
                    "securities": securities,
                    "lots": "account_id | security_id | quantity\n" + "\n".join(lots),
                    "prices": "security_id | price_usd\n" + "\n".join(f"{name} | {usd}" for name, usd in price.items()),
                    "cash": "account_id | settled_usd\n"
                    + "\n".join(f"{name} | {usd}" for name, usd in settled.items()),
                    "trades": "account_id | security_id | trade_date | side | quantity | price_usd | realized_gain_usd\n"
                    + "\n".join(trades)
                    if trades
                    else None,
                },
            )
        )
        day += timedelta(days=1)
    return found


def test_attribution_sums_to_the_difference_for_every_account_and_night_of_a_year(
    year: list[dict[str, pl.DataFrame]],
) -> None:
    """The difference by another way: from values and flows of ``performance`` alone, and the classes' targets."""
    linked = 0
    for then, now in pairwise(year):
        effects = (
            now["attribution"]
            .group_by("account_id")
            .agg(total=pl.sum_horizontal(*EFFECTS).sum(), told=pl.col("tracking_difference").sum())
        )
        both = (
            now["performance"]
            .join(effects, on="account_id")
            .join(then["performance"].select("account_id", was=pl.col("value_usd").cast(pl.Float64)), on="account_id")
        )
        rows = both.filter(pl.col("daily_return").is_not_null())
        value, flow, tax = (pl.col(name).cast(pl.Float64) for name in ("value_usd", "flow_usd", "tax_usd"))
        again = (value - flow - tax) / pl.col("was") - 1 - pl.col("model_return")
        off = rows.select(
            sums=(pl.col("total") - pl.col("tracking_difference")).abs().max(),
            told=(pl.col("told") - pl.col("tracking_difference")).abs().max(),
            again=(again - pl.col("tracking_difference")).abs().max(),
        ).row(0)
        assert max(off) < 1e-9
        linked += rows.height
    assert linked > 0.9 * 40 * 251


def test_cumulated_returns_are_the_products_of_the_nights(year: list[dict[str, pl.DataFrame]]) -> None:
    nights = pl.concat([tables["performance"] for tables in year]).sort("account_id", "night_date")
    grown = nights.group_by("account_id", maintain_order=True).agg(
        product=(1 + pl.col("daily_return").fill_null(0)).product() - 1, last=pl.col("inception_return").last()
    )
    assert grown.select((pl.col("product") - pl.col("last")).abs().max()).item() < 1e-10
    month = (
        nights.filter(pl.col("night_date").dt.month() == 5)
        .group_by("account_id", maintain_order=True)
        .agg(product=(1 + pl.col("daily_return").fill_null(0)).product() - 1, last=pl.col("month_return").last())
    )
    assert month.select((pl.col("product") - pl.col("last")).abs().max()).item() < 1e-10


def test_an_accounts_record_does_not_depend_on_the_others(year: list[dict[str, pl.DataFrame]]) -> None:
    rng = np.random.default_rng(11)
    alone = recorded([of_account(facts, "a07") for facts in random_nights(rng, accounts=40, nights=252)[:60]])
    for mine, together in zip(alone, year, strict=False):
        for name in ("performance", "attribution", "performance_state", "performance_flows"):
            assert_frame_equal(mine[name], together[name].filter(pl.col("account_id") == "a07"), check_exact=True)
    assert alone[-1]["performance"].select(cs.float().is_nan().any()).row(0).count(True) == 0


def of_account(facts: Facts, name: str) -> Facts:
    frames = ("accounts", "lots", "cash", "trades", "members")
    own = {each: getattr(facts, each).filter(pl.col("account_id") == name) for each in frames}
    return Facts(**{**vars(facts), **own})


def test_the_shards_of_a_night_are_one_night() -> None:
    (facts,) = random_nights(np.random.default_rng(2), accounts=6, nights=1)
    whole = night_on(facts)
    joined = joined_nights([night_on(of_account(facts, name)) for name in whole.accounts["account_id"]])
    for name in ("accounts", "classes", "cash", "holdings", "trades"):
        keys = [key for key in ("account_id", "asset_class", "security_id") if key in getattr(whole, name).columns]
        assert_frame_equal(getattr(joined, name).sort(keys), getattr(whole, name).sort(keys))
    assert joined.prices.equals(whole.prices)
