"""Twins: what is conserved, what adds up, and three accounts over ten nights by hand."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.stored import INTERNAL
from schemas.tables import PUBLIC, USD
from schemas.units import EXACT
from tasks.core.performance.twins import (
    after_splits,
    begun_states,
    book_trades,
    in_new_year,
    twin_rows,
    with_moved,
    with_tax,
    year_taxes,
)

DAY: Final = date(2026, 3, 2)
STATE: Final = INTERNAL["twin_state"]
RATES: Final = pl.DataFrame(
    {
        "account_id": ["a", "b", "c"],
        "tax_status": ["taxable", "taxable", "tax_exempt"],
        "short_term_rate": [0.4, 0.4, 0.4],
        "long_term_rate": [0.2, 0.2, 0.2],
    }
)


def states(**cells: Any) -> pl.DataFrame:
    """A state an account, a, b and c; cells not named are 0."""
    nothing = {name: 0 for name, dtype in STATE.items() if dtype.is_numeric()}
    rows = [{"account_id": name, "night_date": DAY, "twin_since_date": DAY, **nothing, **cells} for name in "abc"]
    return pl.DataFrame(rows, schema=STATE)


def orders(*rows: tuple[str, str, str, str, str, str]) -> pl.DataFrame:
    """Account, side, security, quantity, price and what it costs."""
    names = ("account_id", "side", "security_id", "quantity", "price_usd", "est_cost_usd")
    drawn = pl.DataFrame(rows, schema=names, orient="row").with_row_index("order_id").cast({"order_id": pl.String})
    return drawn.with_columns(
        pl.col("quantity", "price_usd").cast(EXACT), pl.col("est_cost_usd").cast(USD)
    ).with_columns(value_usd=pl.col("quantity").cast(USD) * pl.col("price_usd").cast(USD))


def lots(*rows: tuple[str, str, str, str, str]) -> pl.DataFrame:
    """Account, security, lot, quantity and unit cost."""
    names = ("account_id", "security_id", "lot_id", "quantity", "unit_cost_usd")
    drawn = pl.DataFrame(rows, schema=names, orient="row")
    return drawn.with_columns(
        pl.col("quantity", "unit_cost_usd").cast(EXACT), night_date=pl.lit(DAY), acquired_date=pl.lit(date(2020, 1, 2))
    ).select(INTERNAL["twin_lots"].keys())


def relief(*rows: tuple[str, str, str, str]) -> pl.DataFrame:
    names = ("account_id", "security_id", "lot_id", "quantity")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row").with_columns(
        pl.col("quantity").cast(EXACT)
    )


def realized(*rows: tuple[str, float, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"account_id": pl.String, "short": pl.Float64, "long": pl.Float64}, orient="row")


def test_a_sale_takes_its_lots_and_a_purchase_makes_one() -> None:
    held = lots(("a", "S", "1", "10", "80"), ("a", "S", "2", "5", "90"), ("b", "S", "1", "7", "80"))
    told = orders(("a", "sell", "S", "12", "100", "1.2"), ("a", "buy", "B", "11", "50", "0.55"))
    after, state = book_trades(
        held, states(cash_usd=10), told, relief(("a", "S", "1", "10"), ("a", "S", "2", "2")), realized(("a", 0, 220))
    )
    kept = after.filter(pl.col("account_id") == "a").select("security_id", "lot_id", "quantity", "unit_cost_usd").rows()
    assert kept == [("B", "1", Decimal(11), Decimal(50)), ("S", "2", Decimal(3), Decimal(90))]
    assert after.filter(pl.col("account_id") == "b").height == 1
    mine = state.filter(pl.col("account_id") == "a").row(0, named=True)
    assert mine["cash_usd"] == Decimal("658.25")
    assert (mine["year_long_usd"], mine["cost_total_usd"]) == (220, 1.75)
    assert state.filter(pl.col("account_id") == "b")["cash_usd"].item() == 10


counts = st.integers(0, 1_000)


@given(
    held=st.lists(st.integers(1, 10**9), min_size=1, max_size=6),
    shares=st.lists(st.floats(0, 1), min_size=6, max_size=6),
    bought=st.integers(0, 10**9),
    price=st.integers(1, 10**9),
)
def test_shares_and_cents_are_conserved(held: list[int], shares: list[float], bought: int, price: int) -> None:
    """Counted by hand in millionths: nothing comes from nowhere and nothing is lost, to the last one."""
    lot = [Decimal(units) / 10**6 for units in held]
    gone = [Decimal(int(units * share)) / 10**6 for units, share in zip(held, shares, strict=False)]
    at = Decimal(price) / 10**6
    told = [("a", "sell", "S", str(sum(gone)), str(at), "0.25")] if sum(gone) else []
    told += [("a", "buy", "B", str(Decimal(bought) / 10**6), str(at), "0.5")] if bought else []
    drawn = orders(*told) if told else orders(("z", "buy", "S", "1", "1", "0"))
    after, state = book_trades(
        lots(*[("a", "S", str(number), str(units), "1") for number, units in enumerate(lot)]),
        states(cash_usd=5),
        drawn,
        relief(*[("a", "S", str(number), str(units)) for number, units in enumerate(gone) if units]),
        realized(),
    )
    left = after.filter(pl.col("account_id") == "a").group_by("security_id").agg(pl.col("quantity").cast(USD).sum())
    quantities = dict(left.rows())
    assert quantities.get("S", 0) == sum(lot) - sum(gone)
    assert quantities.get("B", 0) == Decimal(bought) / 10**6
    mine = drawn.filter(pl.col("account_id") == "a")
    sold = mine.filter(pl.col("side") == "sell")["value_usd"].sum()
    paid = mine.filter(pl.col("side") == "buy")["value_usd"].sum()
    assert state.filter(pl.col("account_id") == "a")["cash_usd"].item() == 5 + sold - paid - mine["est_cost_usd"].sum()


def test_lots_split_as_the_accounts_own_did() -> None:
    held = lots(("a", "S", "1", "10.5", "80"), ("a", "B", "1", "3", "9"), ("b", "S", "1", "7", "80"))
    split = pl.DataFrame({"account_id": ["a"], "security_id": ["S"], "ratio": [2.0]})
    found = after_splits(held, split).select("quantity", "unit_cost_usd").rows()
    assert found == [(21, 40), (3, 9), (7, 80)]


def test_what_comes_in_comes_in_as_cash() -> None:
    moved = pl.DataFrame(
        {"account_id": ["a"], "moved_usd": [Decimal(25)], "own_tax_usd": [3.0], "own_cost_usd": [0.5]},
        schema_overrides={"moved_usd": USD},
    )
    rows = with_moved(states(cash_usd=10), moved)
    assert rows["cash_usd"].to_list() == [35, 10, 10]
    assert rows["own_tax_total_usd"].to_list() == [3, 0, 0]
    assert rows["own_cost_total_usd"].to_list() == [0.5, 0, 0]


@pytest.mark.parametrize(
    ("short", "long", "left"),
    [(-100, 30, (70, 0)), (-100, 130, (0, 0)), (50, -80, (0, 30)), (-10, -20, (10, 20)), (5, 6, (0, 0))],
)
def test_losses_are_carried_into_the_new_year_net_of_the_other_terms_gains(
    short: int, long: int, left: tuple[int, int]
) -> None:
    rows = in_new_year(states(year_short_usd=short + 7, carried_short_usd=7, year_long_usd=long))
    assert rows.select("carried_short_usd", "carried_long_usd").row(0) == left
    assert rows.select("year_short_usd", "year_long_usd").row(0) == (0, 0)


def test_a_twin_begins_as_the_account_stands() -> None:
    accounts = pl.DataFrame(
        {
            "account_id": ["a"],
            "night_date": [DAY],
            "cash_usd": [Decimal(5)],
            "ytd_short_gain_usd": [Decimal(1)],
            "ytd_long_gain_usd": [Decimal(2)],
            "loss_carryforward_short_usd": [None],
            "loss_carryforward_long_usd": [Decimal(3)],
        },
        schema_overrides={"cash_usd": USD, "loss_carryforward_short_usd": EXACT},
    )
    (row,) = begun_states(accounts).to_dicts()
    assert (row["twin_since_date"], row["cash_usd"]) == (DAY, 5)
    assert (row["year_short_usd"], row["year_long_usd"]) == (1, 2)
    assert (row["carried_short_usd"], row["carried_long_usd"], row["tax_total_usd"]) == (0, 3, 0)


def test_three_accounts_over_ten_nights_by_hand() -> None:
    """Twins never trade; every account begins with 100 shares bought at 100 and 1,000 USD of short-term gain this year.

    a harvests on the fourth night at 80 and buys another fund at the same price, which then moves as the first does: 2,000 USD of loss at 40 % save the tax on
    1,000 of gain, 400 USD, and the rest is carried. b sells 50 shares at 80 on the fifth night and holds the cash. c, which pays no tax, does nothing. Half a
    spread is 10 bp. The price goes 100, 95, 90, 80, 80, 85, 90, 95, 100, 110.
    """
    prices = (100, 95, 90, 80, 80, 85, 90, 95, 100, 110)
    gain = pl.Series([Decimal(1000)] * 3, dtype=USD)
    rows = states(year_short_usd=1000)
    twin_tax_then = year_taxes(rows, RATES)
    assert twin_tax_then["tax_then_usd"].to_list() == [400, 400, 0]
    found = pl.DataFrame()
    for number, price in enumerate(prices):
        day = DAY + timedelta(days=number)
        tax = {"a": -400.0 if number == 3 else 0.0, "b": -400.0 if number == 4 else 0.0, "c": 0.0}
        cost = {"a": 16.0 if number == 3 else 0.0, "b": 4.0 if number == 4 else 0.0, "c": 0.0}
        value = {
            "a": 100 * price - (16 if number >= 3 else 0),
            "b": 50 * price + 50 * 80 - 4 if number >= 4 else 100 * price,
            "c": 100 * price,
        }
        open_gain = {"a": 100 * (price - 80) if number >= 3 else 100 * (price - 100), "b": 50 * (price - 100), "c": 0}
        carried = {"a": -1000 if number >= 3 else 1000, "b": 0 if number >= 4 else 1000, "c": 0}
        owed = {
            name: 0.4 * (max(carried[name] + open_gain[name], 0) - max(carried[name], 0)) if name != "c" else 0.0
            for name in "abc"
        }
        moved = pl.DataFrame(
            [(name, Decimal(0), tax[name], cost[name]) for name in "abc"],
            schema={"account_id": pl.String, "moved_usd": USD, "own_tax_usd": pl.Float64, "own_cost_usd": pl.Float64},
            orient="row",
        )
        rows = with_moved(rows.with_columns(night_date=pl.lit(day)), moved).with_columns(year_short_usd=gain)
        taxed = with_tax(rows, RATES, twin_tax_then)
        rows = taxed.select(STATE.keys())
        twin_open = 100 * (price - 100)
        found = twin_rows(
            taxed.with_columns(twin_policy=pl.lit("never"), order_count=pl.lit(0, pl.Int64)),
            pl.DataFrame({"account_id": list("abc"), "lots_usd": [100 * price] * 3}).cast({"lots_usd": USD}),
            pl.DataFrame(
                {
                    "account_id": list("abc"),
                    "twin_owed_usd": [0.4 * (max(1000 + twin_open, 0) - 1000)] * 2 + [0.0],
                }
            ),
            pl.DataFrame(
                {"account_id": list("abc"), "own_value_usd": list(value.values()), "own_owed_usd": list(owed.values())}
            ).cast({"own_value_usd": USD}),
            pl.DataFrame({"account_id": list("abc"), "own_drift": [0.02] * 3, "twin_drift": [0.05] * 3}),
        )
        assert list(found.columns) == list(PUBLIC["twins"])
        sums = found.select(
            (
                pl.col("tax_alpha_usd")
                + pl.col("cost_difference_usd")
                + pl.col("market_difference_usd")
                - pl.col("pre_liquidation_usd")
            )
            .abs()
            .max(),
            (pl.col("pre_liquidation_usd") - pl.col("tax_deferred_usd") - pl.col("post_liquidation_usd")).abs().max(),
        ).row(0)
        assert max(sums) <= Decimal("0.000002")
    a, b, c = found.to_dicts()
    assert (a["tax_alpha_usd"], a["cost_difference_usd"], a["market_difference_usd"]) == (400, -16, 0)
    assert a["pre_liquidation_usd"] == 384
    # all sold at 110: the account owes on -1,000 + 3,000 = 2,000 of gain, 800; the twin on 1,000 + 1,000, 400 more than it owes
    assert a["tax_deferred_usd"] == 800 - 400
    assert a["post_liquidation_usd"] == -16
    assert (b["tax_alpha_usd"], b["cost_difference_usd"]) == (400, -4)
    assert b["market_difference_usd"] == 50 * 80 - 50 * 110
    assert b["pre_liquidation_usd"] == 400 - 4 - 1500
    assert b["tax_deferred_usd"] == Decimal(str(0.4 * 500)) - 400
    assert [
        c[name] for name in ("tax_alpha_usd", "cost_difference_usd", "market_difference_usd", "post_liquidation_usd")
    ] == [0] * 4
    assert a["drift_difference"] == pytest.approx(-0.03)
