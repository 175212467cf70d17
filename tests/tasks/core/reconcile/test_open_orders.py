from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from schemas.stored import INTERNAL
from tasks.core.reconcile.open_orders import known_fills, standing_proposals, unseen, with_shown
from tests.support.facts_table import ago, table
from tests.support.landing_book import rows_of

NO_TRADES = table("trades", "security_id")


def drawn(text: str) -> pl.DataFrame:
    flags = pl.col("^is_.*$").replace_strict({"yes": True, "no": False}, return_dtype=pl.Boolean)
    orders = rows_of(text).with_columns(
        flags, pl.col("^as_of_date$").str.to_date(), pl.col("^quantity$").cast(pl.Decimal(18, 6))
    )
    orders = orders.with_columns(pl.col("^as_of_date$").dt.offset_by("1d").alias("trade_date"))
    nothing = {
        "filled_quantity": Decimal(0),
        "is_closed": False,
        "average_price_usd": None,
        "last_trade_date": None,
        "cost_usd": None,
    }
    return orders.with_columns(**{name: pl.lit(value) for name, value in nothing.items() if name not in orders.columns})


ORDERS = f"""
    order_id | account_id | security_id | side | quantity | is_loss | is_sent | as_of_date
    2        | a          | S           | sell | 5        | yes     | yes     | {ago(3)}
    1        | a          | B           | buy  | 2.5      | no      | no      | {ago(1)}
"""


def test_orders_without_a_trade_are_pending_under_the_date_they_were_proposed_for() -> None:
    found = unseen(drawn(ORDERS), NO_TRADES)
    assert found.select("security_id", "side", "quantity", "trade_date", "is_loss").rows() == [
        ("B", "buy", Decimal("2.5"), date.fromisoformat(ago(0)), False),
        ("S", "sell", Decimal(5), date.fromisoformat(ago(2)), True),
    ]
    assert set(found.columns) == set(INTERNAL["pending_orders"])


@pytest.mark.parametrize(
    ("trade", "is_pending"),
    [
        (f"a | S | sell | {ago(3)}", False),
        (f"a | S | sell | {ago(0)}", False),
        (f"a | S | sell | {ago(4)}", True),
        (f"a | S | buy | {ago(2)}", True),
        (f"a | B | sell | {ago(2)}", True),
        (f"b | S | sell | {ago(2)}", True),
    ],
)
def test_an_order_that_was_sent_is_seen_in_a_trade_of_its_account_security_and_side_since(
    trade: str, *, is_pending: bool
) -> None:
    trades = table("trades", f"account_id | security_id | side | trade_date | quantity\n{trade} | 5")
    assert ("S" in set(unseen(drawn(ORDERS), trades)["security_id"])) == is_pending


def test_an_order_that_was_not_sent_has_no_trade_whatever_was_traded() -> None:
    trades = table("trades", f"account_id | security_id | side | trade_date\na | B | buy | {ago(0)}")
    assert "B" in set(unseen(drawn(ORDERS), trades)["security_id"])


def test_proposals_that_this_run_replaces_do_not_count_unless_they_are_leaving() -> None:
    proposals = rows_of("""
        proposal_id | account_id | export_id
        1           | in         |
        2           | in         | e
        3           | out        |
        4           | out        | e
    """)
    found = standing_proposals(proposals, pl.Series(["in"]))
    assert found.select("proposal_id", "is_sent").rows() == [("2", True), ("3", False), ("4", True)]


# --- what brokers told


def told(**known: object) -> pl.DataFrame:
    """The sell of the orders above, with what is known of it."""
    types = {
        "filled_quantity": pl.Decimal(18, 6),
        "average_price_usd": pl.Decimal(18, 6),
        "cost_usd": pl.Decimal(38, 6),
        "last_trade_date": pl.Date,
        "is_closed": pl.Boolean,
    }
    sell = drawn(ORDERS).filter(pl.col("side") == "sell")
    return sell.with_columns(**{name: pl.lit(value).cast(types[name]) for name, value in known.items()})


PARTLY = {
    "filled_quantity": Decimal(2),
    "average_price_usd": Decimal(9),
    "cost_usd": Decimal(60),
    "last_trade_date": date.fromisoformat(ago(2)),
}
"""Two of five that cost 12 each, sold at 9."""


def test_what_is_filled_is_a_trade_and_the_rest_may_yet_be() -> None:
    orders = told(**PARTLY)
    assert unseen(orders, NO_TRADES)["quantity"].to_list() == [Decimal(3)]
    assert known_fills(orders, NO_TRADES).to_dicts() == [
        {
            "account_id": "a",
            "security_id": "S",
            "trade_date": date.fromisoformat(ago(2)),
            "side": "sell",
            "quantity": Decimal(2),
            "price_usd": Decimal(9),
            "realized_gain_usd": Decimal(-6),
        }
    ]


def test_nothing_is_expected_of_an_order_that_is_over() -> None:
    orders = told(**PARTLY, is_closed=True)
    assert unseen(orders, NO_TRADES).is_empty()
    assert known_fills(orders, NO_TRADES).height == 1
    assert known_fills(told(is_closed=True), NO_TRADES).is_empty()


def test_a_fill_that_the_trades_show_is_not_counted_twice() -> None:
    trades = table("trades", f"account_id | security_id | side | trade_date | quantity\na | S | sell | {ago(2)} | 2")
    assert known_fills(told(**PARTLY), trades).is_empty()


def test_what_trades_do_not_show_of_a_fill_counts_beside_them() -> None:
    trades = table("trades", f"account_id | security_id | side | trade_date | quantity\na | S | sell | {ago(2)} | 0.5")
    (row,) = known_fills(told(**PARTLY), trades).to_dicts()
    assert (row["quantity"], row["realized_gain_usd"]) == (Decimal("1.5"), Decimal("-4.5"))
    assert unseen(told(**PARTLY), trades)["quantity"].to_list() == [Decimal(3)]


def test_trades_beyond_what_was_told_leave_less_to_come() -> None:
    trades = table("trades", f"account_id | security_id | side | trade_date | quantity\na | S | sell | {ago(2)} | 4")
    assert known_fills(told(**PARTLY), trades).is_empty()
    assert unseen(told(**PARTLY), trades)["quantity"].to_list() == [Decimal(1)]


def sold(*quantities: str) -> pl.DataFrame:
    """Sells of one security, each a day after the one before, from four days ago on."""
    lines = [
        f"{number} | a | S | sell | {quantity} | no | yes | {ago(4 - number)}"
        for number, quantity in enumerate(quantities)
    ]
    return drawn("\n".join(["order_id|account_id|security_id|side|quantity|is_loss|is_sent|as_of_date", *lines]))


@pytest.mark.parametrize(
    ("trades", "left"),
    [
        ({4: 10}, {"1": 10, "2": 10}),
        ({3: 10}, {"1": 10, "2": 10}),
        ({4: 15}, {"1": 10, "2": 10}),
        ({3: 15}, {"1": 5, "2": 10}),
        ({4: 10, 2: 25}, {}),
        ({2: 20}, {"2": 10}),
    ],
)
def test_a_trade_shows_one_order_the_oldest_that_it_can(trades: dict[int, int], left: dict[str, int]) -> None:
    lines = [f"a | S | sell | {ago(days)} | {quantity}" for days, quantity in trades.items()]
    landed = table("trades", "\n".join(["account_id | security_id | side | trade_date | quantity", *lines]))
    shown = with_shown(sold("10", "10", "10"), landed)
    found = shown.with_columns(left=pl.col("quantity") - pl.col("shown_quantity")).filter(pl.col("left") > 0)
    assert dict(found.select("order_id", "left").iter_rows()) == left


def test_the_gain_of_a_fill_is_unknown_where_a_cost_is() -> None:
    assert known_fills(told(**{**PARTLY, "cost_usd": None}), NO_TRADES)["realized_gain_usd"].to_list() == [None]
