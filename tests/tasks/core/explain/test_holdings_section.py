"""What an account holds and what its cash did, against sums made by hand and by Python's decimals."""

from datetime import date, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.tables import USD
from schemas.units import EXACT
from tasks.core.explain.holdings_section import cash_moves, lots_held, positions
from tasks.core.explain.weights_after import classes_after, one_way
from tests.support.facts_table import AS_OF, facts_of

DAY = date(2026, 3, 2)


def test_lots_have_value_cost_gain_and_term_and_what_is_unknown_stays_unknown() -> None:
    facts = facts_of(
        accounts="""
            account_id
            a
            b
        """,
        lots="""
            account_id | security_id | lot_id | quantity | unit_cost_usd | acquired_date
            a          | S           | old    | 10       | 40            | 2015-01-05
            a          | S           | new    | 2.5      | 130           | 2024-01-05
            a          | B           | lost   | 4        |               |
            b          | S           | other  | 99       | 1             | 2015-01-05
        """,
        cash="""
            account_id | settled_usd
            a          | 100
            b          | 0
        """,
    )
    price = {row["security_id"]: row["price_usd"] for row in facts.prices.iter_rows(named=True)}
    rows = {row["lot_id"]: row for row in lots_held(facts, "a").iter_rows(named=True)}
    assert set(rows) == {"old", "new", "lost"}
    assert rows["old"]["value_usd"] == 10 * price["S"]
    assert rows["old"]["gain_usd"] == 10 * (price["S"] - 40)
    assert rows["old"]["term"] == "long"
    assert rows["new"]["long_term_from"] == date(2025, 1, 6)
    assert (rows["lost"]["cost_usd"], rows["lost"]["gain_usd"], rows["lost"]["term"]) == (None, None, None)
    held = {row["security_id"]: row for row in positions(lots_held(facts, "a")).iter_rows(named=True)}
    assert held["S"]["quantity"] == Decimal("12.5")
    assert held["S"]["gain_usd"] == rows["old"]["gain_usd"] + rows["new"]["gain_usd"]
    assert held["S"]["gain_usd"] == held["S"]["short_gain_usd"] + held["S"]["long_gain_usd"]
    assert held["B"]["value_usd"] == 4 * price["B"]
    assert held["B"]["gain_usd"] is None
    assert facts.trade_date >= AS_OF


def moves(nights: list[tuple[date, int | None]], trades: list[tuple[date, str, int]]) -> list[dict[str, object]]:
    schema = {"as_of_date": pl.Date(), "settled_usd": EXACT}
    told = pl.DataFrame(
        [("S", day, side, Decimal(count), Decimal(1)) for day, side, count in trades],
        schema={
            "security_id": pl.String(),
            "trade_date": pl.Date(),
            "side": pl.String(),
            "quantity": EXACT,
            "price_usd": EXACT,
        },
        orient="row",
    )
    known = pl.DataFrame(
        {"security_id": ["S"], "price_factor": [None]}, schema={"security_id": pl.String(), "price_factor": EXACT}
    )
    rows = [(day, None if usd is None else Decimal(usd)) for day, usd in nights]
    return cash_moves(pl.DataFrame(rows, schema=schema, orient="row"), told, known).to_dicts()


def test_cash_that_trades_do_not_explain_is_other() -> None:
    found = moves(
        [(DAY, 100), (DAY + timedelta(1), 150), (DAY + timedelta(4), None), (DAY + timedelta(5), 20)],
        [(DAY, "sell", 7), (DAY + timedelta(1), "sell", 30), (DAY + timedelta(1), "buy", 5)],
    )
    assert [row["change_usd"] for row in found] == [None, 50, None, None]
    assert [row["traded_usd"] for row in found] == [None, 25, None, None]
    assert [row["other_usd"] for row in found] == [None, 25, None, None]


@given(
    amounts=st.lists(st.integers(-1000, 1000), min_size=2, max_size=8),
    trades=st.lists(st.tuples(st.integers(1, 7), st.sampled_from(["buy", "sell"]), st.integers(1, 500)), max_size=10),
)
def test_changes_of_cash_come_to_the_difference_of_first_and_last(
    amounts: list[int], trades: list[tuple[int, str, int]]
) -> None:
    nights = [(DAY + timedelta(number), amount) for number, amount in enumerate(amounts)]
    found = moves(nights, [(DAY + timedelta(day), side, count) for day, side, count in trades])
    assert sum(row["change_usd"] for row in found[1:]) == amounts[-1] - amounts[0]  # type: ignore[misc]
    told = sum((1 if side == "sell" else -1) * count for day, side, count in trades if day < len(amounts))
    assert sum(row["traded_usd"] for row in found[1:]) == told  # type: ignore[misc]
    assert all(row["other_usd"] == row["change_usd"] - row["traded_usd"] for row in found[1:])  # type: ignore[operator]


def a_drift(**values: str) -> pl.DataFrame:
    nav = sum(map(Decimal, values.values()))
    return pl.DataFrame(
        [
            {
                "asset_class": name,
                "value_usd": Decimal(value),
                "weight": float(Decimal(value) / nav) if nav else None,
                "target_weight": 0.5,
                "drift": float(Decimal(value) / nav) - 0.5 if nav else None,
                "band": 0.05,
                "is_out_of_band": False,
            }
            for name, value in values.items()
        ],
        schema_overrides={"value_usd": USD, "weight": pl.Float64, "drift": pl.Float64},
    )


ORDERS = pl.DataFrame(
    [("sell", "S", Decimal(30)), ("buy", "C", Decimal(10))],
    schema={"side": pl.String(), "security_id": pl.String(), "value_usd": USD},
    orient="row",
)
CLASSES = pl.DataFrame({"security_id": ["S", "C"], "asset_class": ["stocks", "cash"]})


def test_orders_move_value_between_classes_and_costs_come_out_of_cash() -> None:
    after = {
        row["asset_class"]: row
        for row in classes_after(a_drift(stocks="80", cash="20"), ORDERS, CLASSES, Decimal(1)).iter_rows(named=True)
    }
    assert list(after) == ["stocks", "cash"]
    assert (after["stocks"]["value_after_usd"], after["cash"]["value_after_usd"]) == (50, 39)
    assert after["stocks"]["weight_after"] == pytest.approx(50 / 99)
    assert (after["stocks"]["is_out_of_band_after"], after["cash"]["is_out_of_band_after"]) == (False, True)


def test_without_orders_all_is_as_before_and_without_value_nothing_has_a_weight() -> None:
    (stocks, cash) = classes_after(a_drift(stocks="60", cash="40"), ORDERS.clear(), CLASSES, Decimal(0)).iter_rows(
        named=True
    )
    assert [row["drift_after"] for row in (stocks, cash)] == pytest.approx([0.1, -0.1])
    nothing = classes_after(a_drift(stocks="0", cash="0"), ORDERS.clear(), CLASSES, Decimal(0))
    assert nothing["weight_after"].to_list() == [None, None]
    assert nothing.select(one_way(pl.col("drift_after"))).item() is None
    assert classes_after(a_drift(stocks="60", cash="40"), ORDERS.clear(), CLASSES, Decimal(0)).select(
        one_way(pl.col("drift"))
    ).item() == pytest.approx(0.1)
