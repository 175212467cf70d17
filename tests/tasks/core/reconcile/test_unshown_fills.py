from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.landing_columns import dtypes
from schemas.stored import INTERNAL
from tasks.core.reconcile.unshown_fills import (
    missing,
    open_to_show,
    presumed_fills,
    to_show,
    unshown,
    waiting,
    waiting_orders,
    with_session_counts,
)
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
    return pl.DataFrame(full, schema=ORDERS, orient="row").with_columns(amount_usd=pl.lit(None, pl.Decimal(38, 6)))


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
    assert found.rows() == [("a", "fills_not_shown: B moved by -1 where -2.5 was filled, and 1 more", None)]


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


def left(
    *rows: tuple[str, str, int, str, str], closed: tuple[str, ...] = (), retracted: tuple[str, ...] = ()
) -> pl.DataFrame:
    """``order_id, side, days ago, ordered, filled`` of S, all sent."""
    filled = orders(*((name, "S", side, days, so_far) for name, side, days, _, so_far in rows))
    quantities = pl.Series("quantity", [Decimal(row[3]) for row in rows], pl.Decimal(18, 6))
    return filled.with_columns(
        quantities,
        is_sent=pl.lit(value=True),
        is_closed=pl.col("order_id").is_in(closed),
        is_retracted=pl.col("order_id").is_in(retracted),
    )


def open_then(known: pl.DataFrame, then: pl.DataFrame) -> pl.DataFrame:
    return open_to_show(known, then, known["order_id"])


@pytest.mark.parametrize(
    ("so_far", "now", "is_shown"),
    [("0", "100", False), ("0", "112", False), ("12", "112", False), ("0", "120", True), ("12", "120", True)],
)
def test_an_open_order_is_shown_where_the_holding_moved_by_all_of_it_whatever_was_told(
    so_far: str, now: str, *, is_shown: bool
) -> None:
    rows = open_then(left(("o", "buy", 3, "20", so_far)), held((3, "S", "100")))
    assert unshown(rows, lots(S=now), NO_TRADES).is_empty() == is_shown


def test_only_orders_that_left_and_have_no_final_word_are_open() -> None:
    known = left(("over", "buy", 3, "20", "5"), ("open", "buy", 3, "20", "5"), closed=("over",))
    nothing = pl.lit(0, pl.Decimal(18, 6))
    drafts = known.with_columns(
        filled_quantity=nothing, is_sent=pl.lit(value=False), order_id=pl.format("draft-{}", "order_id")
    )
    rows = open_then(pl.concat([known, drafts]), held((3, "S", "0")))
    assert rows.select("order_id", "filled_quantity", "expected_change").rows() == [("open", Decimal(20), Decimal(25))]


def test_no_holding_shows_an_order_of_which_a_fill_was_taken_back() -> None:
    known = left(("o", "buy", 3, "20", "0"), retracted=("o",))
    for now in ("100", "120", "200"):
        found = unshown(open_then(known, held((3, "S", "100"))), lots(S=now), NO_TRADES)
        assert found["order_id"].to_list() == ["o"]


def test_trading_days_are_counted_after_the_night_of_the_order() -> None:
    rows = open_then(left(("o", "buy", 3, "20", "0")), held((3, "S", "100")))
    sessions = [day(5), day(3), day(2), day(0)]
    assert with_session_counts(rows, sessions)["session_count"].to_list() == [2]
    assert with_session_counts(rows, sessions[:2])["session_count"].to_list() == [0]
    assert with_session_counts(rows.clear(), sessions).is_empty()


def test_the_wait_names_three_orders_the_oldest_first_and_counts_the_others() -> None:
    known = left(*((f"o{number}", "buy", 9 - number, "20", "0") for number in range(5)))
    then = held(*((9 - number, "S", "0") for number in range(5)))
    rows = with_session_counts(open_then(known, then), [day(8), day(0)])
    (row,) = waiting_orders(rows.with_columns(moved=pl.lit(None))).rows()
    assert row == (
        "a",
        f"buy 20 S of {day(9)}, order o0; buy 20 S of {day(8)}, order o1; buy 20 S of {day(7)}, order o2, and 2 more (2 trading days)",
        2,
    )
    alone = with_session_counts(open_then(known.head(1), then), [day(8)]).with_columns(moved=pl.lit(None))
    assert waiting_orders(alone)["open_orders"].to_list() == [f"buy 20 S of {day(9)}, order o0 (1 trading day)"]


@pytest.mark.parametrize(
    ("side", "now", "trades", "presumed"),
    [
        ("buy", "100", "", None),
        ("buy", "112", "", "12"),
        ("buy", "120", "", "20"),
        ("buy", "150", "", "20"),
        ("buy", "90", "", None),
        ("sell", "90", "", "10"),
        ("sell", "120", "", None),
        ("buy", "120", f"buy | {ago(2)} | 12", "8"),
        ("buy", "120", f"buy | {ago(2)} | 20", None),
    ],
)
def test_an_open_order_explains_a_change_of_its_holding_beyond_the_trades_up_to_its_quantity(
    side: str, now: str, trades: str, presumed: str | None
) -> None:
    rows = open_then(left(("o", side, 3, "20", "0")), held((3, "S", "100")))
    drawn = "".join(f"\na | S | {line}" for line in trades.splitlines())
    landed = table("trades", f"account_id | security_id | side | trade_date | quantity{drawn}") if drawn else NO_TRADES
    prices = pl.DataFrame({"security_id": ["S"], "price_usd": [Decimal(10)]})
    found = presumed_fills(rows, lots(S=now), landed, prices, day(0))
    assert dict(found.schema) == dtypes("trades")
    assert found["quantity"].to_list() == ([] if presumed is None else [Decimal(presumed)])
    assert found.select("side", "trade_date", "price_usd").rows() == [(side, day(0), Decimal(10))] * found.height
    assert presumed_fills(rows, lots(S=now), landed, prices.clear(), day(0)).is_empty()
