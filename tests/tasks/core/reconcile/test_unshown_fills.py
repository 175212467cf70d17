from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.landing import dtypes
from schemas.stored import INTERNAL
from tasks.core.reconcile.unshown_fills import missing, to_show, unshown, waiting
from tests.support.facts_table import ago, table

PLACE = {"account_id": pl.String(), "security_id": pl.String()}
ORDERS = {
    "order_id": pl.String(),
    "run_id": pl.String(),
    **PLACE,
    "side": pl.String(),
    "as_of_date": pl.Date(),
    "filled_quantity": pl.Decimal(18, 6),
    "average_price_usd": pl.Decimal(18, 6),
}
HELD = {"run_id": pl.String(), **PLACE, "quantity": pl.Decimal(18, 6)}
NO_TRADES = table("trades", "security_id")


def day(days_ago: int) -> date:
    return date.fromisoformat(ago(days_ago))


def orders(*rows: tuple[str, str, str, int, str]) -> pl.DataFrame:
    """``order_id, security_id, side, days ago, filled``, each of a run named after its day."""
    full = [
        (name, f"run-{days}", "a", security, side, day(days), Decimal(filled), Decimal(10))
        for name, security, side, days, filled in rows
    ]
    return pl.DataFrame(full, schema=ORDERS, orient="row")


def held(*rows: tuple[int, str, str]) -> pl.DataFrame:
    """``days ago, security_id, quantity``."""
    full = [(f"run-{days}", "a", security, Decimal(quantity)) for days, security, quantity in rows]
    return pl.DataFrame(full, schema=HELD, orient="row")


def lots(**quantities: str) -> pl.DataFrame:
    rows = [("a", security, Decimal(quantity)) for security, quantity in quantities.items()]
    return pl.DataFrame(rows, schema={**PLACE, "quantity": pl.Decimal(18, 6)}, orient="row")


def wanted(filled: pl.DataFrame, then: pl.DataFrame, *names: str) -> pl.DataFrame:
    return to_show(filled, then, pl.Series(names or filled["order_id"].to_list(), dtype=pl.String))


BOUGHT = wanted(orders(("o", "S", "buy", 3, "10")), held((3, "S", "100")))
SOLD_OUT = wanted(orders(("o", "S", "sell", 3, "100")), held((3, "S", "60"), (3, "S", "40")))


@pytest.mark.parametrize(
    ("fills", "now", "is_shown"),
    [
        (BOUGHT, {"S": "100"}, False),
        (BOUGHT, {"S": "109.999999"}, False),
        (BOUGHT, {"S": "110"}, True),
        (BOUGHT, {"S": "130"}, True),
        (BOUGHT, {}, False),
        (SOLD_OUT, {"S": "100"}, False),
        (SOLD_OUT, {"S": "40"}, False),
        (SOLD_OUT, {}, True),
        (SOLD_OUT, {"S": "120"}, False),
    ],
)
def test_a_fill_is_shown_where_the_holding_moved_as_far(
    fills: pl.DataFrame, now: dict[str, str], *, is_shown: bool
) -> None:
    assert unshown(fills, lots(**now), NO_TRADES).is_empty() == is_shown


@pytest.mark.parametrize(
    ("trades", "now", "is_shown"),
    [
        (f"buy | {ago(2)} | 10\nsell | {ago(1)} | 10", "100", True),  # bought here, sold again elsewhere
        (f"buy | {ago(2)} | 10", "100", False),  # the trade is booked, the lot is not
        (f"sell | {ago(1)} | 5", "95", False),  # something else was traded
        (f"buy | {ago(2)} | 10\nsell | {ago(1)} | 5", "95", False),
        (f"buy | {ago(2)} | 10\nsell | {ago(1)} | 5", "105", True),
        (f"buy | {ago(3)} | 10\nsell | {ago(3)} | 10", "100", False),  # all from before the order
    ],
)
def test_trades_that_say_all_of_it_show_a_fill_that_was_undone(trades: str, now: str, *, is_shown: bool) -> None:
    drawn = "\n".join(f"a | S | {line}" for line in trades.splitlines())
    landed = table("trades", f"account_id | security_id | side | trade_date | quantity\n{drawn}")
    assert unshown(BOUGHT, lots(S=now), landed).is_empty() == is_shown


def test_a_fill_told_late_is_looked_for_beside_those_of_later_orders() -> None:
    filled = orders(("late", "S", "buy", 5, "100"), ("known", "S", "buy", 3, "50"))
    fills = wanted(filled, held((5, "S", "1000"), (3, "S", "1000")), "late")
    assert fills["expected_change"].to_list() == [Decimal(150)]
    assert unshown(fills, lots(S="1050"), NO_TRADES)["order_id"].to_list() == ["late"]
    assert unshown(fills, lots(S="1150"), NO_TRADES).is_empty()


def test_what_a_later_run_sold_again_need_not_be_shown() -> None:
    filled = orders(("o1", "S", "buy", 5, "10"), ("o2", "S", "sell", 3, "10"))
    fills = wanted(filled, held((5, "S", "100"), (3, "S", "110")))
    assert unshown(fills, lots(S="100"), NO_TRADES).is_empty()
    assert unshown(fills, lots(S="110"), NO_TRADES)["order_id"].to_list() == ["o2"]


def test_only_orders_that_are_filled_and_sought_are_looked_for() -> None:
    filled = orders(("o1", "S", "buy", 3, "0"), ("o2", "B", "buy", 3, "1"), ("o3", "C", "buy", 3, "1"))
    found = wanted(filled, held(), "o1", "o2")
    assert found.select("order_id", "then_quantity").rows() == [("o2", Decimal(0))]
    assert dict(found.schema) == INTERNAL["fills_to_show"]


def test_what_is_missing_is_counted_once_a_holding_and_priced_at_its_fills() -> None:
    filled = orders(("o1", "S", "buy", 5, "100"), ("o2", "S", "buy", 3, "50"), ("o3", "B", "sell", 3, "7"))
    fills = wanted(filled, held((5, "S", "1000"), (3, "S", "1000"), (3, "B", "7")))
    found = missing(unshown(fills, lots(S="1030", B="9"), NO_TRADES))
    assert found.rows() == [
        ("a", "B", Decimal(-7), Decimal(70)),
        ("a", "S", Decimal(120), Decimal(-1200)),
    ]


def test_the_reason_names_the_first_holding_and_counts_the_others() -> None:
    fills = wanted(
        orders(("o1", "S", "buy", 3, "10"), ("o2", "B", "sell", 3, "2.5")), held((3, "S", "1"), (3, "B", "5"))
    )
    found = waiting(unshown(fills, lots(S="1", B="4"), NO_TRADES))
    assert found.rows() == [("a", "fills_not_shown: B moved by -1 where -2.5 was filled, and 1 more")]


@given(
    st.lists(st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 50)), min_size=1, max_size=5),
    st.integers(0, 300),
)
def test_books_that_are_right_show_everything_and_books_of_the_first_day_nothing(
    trades: list[tuple[str, int]], start: int
) -> None:
    """The holding as it was before each order, if each was filled and booked before the next."""
    rows, then, quantity = [], [], Decimal(start + 250)
    for number, (side, filled) in enumerate(trades):
        days = 9 - number
        rows.append((f"o{number}", "S", side, days, str(filled)))
        then.append((days, "S", str(quantity)))
        quantity += filled if side == "buy" else -filled
    fills = wanted(orders(*rows), held(*then))
    assert unshown(fills, lots(S=str(quantity)), NO_TRADES).is_empty()
    first = Decimal(start + 250)
    if quantity != first:
        assert "o0" in unshown(fills, lots(S=str(first)), NO_TRADES)["order_id"].to_list()
    lacking = missing(unshown(fills, lots(S=str(first)), NO_TRADES))
    if quantity != first:
        assert lacking["quantity"].to_list() == [quantity - first]


def test_what_is_landed_has_the_types_that_are_judged() -> None:
    empty = pl.DataFrame(schema=INTERNAL["fills_to_show"])
    nothing = pl.DataFrame(schema=dtypes("lots"))
    assert dict(unshown(empty, nothing, NO_TRADES).schema) == INTERNAL["unshown_fills"]
