"""Orders in dollars and what comes back: the shares that the dollars bought are no break, whatever the price was."""

from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.executions import MESSAGES, SENT_ORDERS
from tasks.core.reconcile import breaks, order_states
from tasks.core.reconcile.unshown_fills import open_to_show, presumed_fills, unshown
from tests.support.examples import at_most
from tests.support.facts_table import table
from tests.tasks.core.reconcile.test_order_progress import fixed
from tests.tasks.core.reconcile.test_unshown_fills import NO_TRADES, day, held, lots, orders

AMOUNT, PRICE = Decimal("10000.00"), Decimal("54.37")
ESTIMATE = Decimal("183.925")
"""What 10,000 dollars buy at 54.37, in thousandths of a share."""


def sent(**changes: Any) -> pl.DataFrame:
    row = {
        "order_id": "o",
        "proposal_id": "p",
        "block_id": "b",
        "account_id": "a",
        "custodian": "Acme",
        "side": "buy",
        "security_id": "s",
        "symbol": "S",
        "quantity": ESTIMATE,
        "quantity_step": Decimal("0.001"),
        "price_usd": PRICE,
        "amount_usd": AMOUNT,
    }
    return pl.DataFrame([row | changes], schema=SENT_ORDERS)


def fills(*rows: tuple[str, str, str]) -> pl.DataFrame:
    """Quantity, price, fees."""
    told = [
        {"source": "x", "execution_id": f"e{place}", "kind": "fill", "order_id": "o"}
        | {"quantity": Decimal(quantity), "price_usd": Decimal(price), "fees_usd": Decimal(fees)}
        for place, (quantity, price, fees) in enumerate(rows)
    ]
    return pl.DataFrame(told, schema=MESSAGES)


def came_of(book: pl.DataFrame, messages: pl.DataFrame) -> tuple[str, bool, list[tuple[str, str]]]:
    """State, whether it is closed, and the codes and amounts of its breaks."""
    states = order_states(book, messages, fixed())
    found = breaks(book, states, messages, fixed())
    codes = [(code, f"{amount:.2f}") for code, amount in found.select("code", "amount_usd").rows()]
    return str(states["state"].item()), bool(states["is_closed"].item()), codes


@pytest.mark.parametrize(
    ("quantity", "price", "fees"),
    [
        ("183.925", "54.37", "0"),
        ("181.818", "55.00", "0"),
        ("186.916", "53.50", "0"),
        ("160.000", "62.50", "0"),
        ("200.000", "50.00", "0"),
        ("181.0", "55.00", "45.00"),
        ("183.925", "55.10", "0"),
        ("183.925", "53.10", "0"),
    ],
    ids=[
        "as thought",
        "dearer",
        "cheaper",
        "much dearer",
        "much cheaper",
        "less a fee",
        "shares, dearer",
        "shares, cheaper",
    ],
)
def test_as_much_as_was_ordered_is_filled_and_no_break(quantity: str, price: str, fees: str) -> None:
    assert came_of(sent(), fills((quantity, price, fees))) == ("filled", True, [])


@pytest.mark.parametrize(
    ("quantity", "price", "state", "found"),
    [
        ("90.909", "55.00", "partly_filled", [("not_filled", "5000.00")]),
        ("181.816", "55.00", "partly_filled", [("not_filled", "0.12")]),
        ("200.000", "55.00", "filled", [("overfilled", "1000.00")]),
        ("367.85", "54.37", "filled", [("overfilled", "10000.00")]),
    ],
)
def test_less_and_more_than_was_ordered_is_told_in_dollars(
    quantity: str, price: str, state: str, found: list[tuple[str, str]]
) -> None:
    assert came_of(sent(), fills((quantity, price, "0"))) == (state, state == "filled", found)


def test_shares_are_counted_as_before_where_shares_were_ordered() -> None:
    in_shares = sent(amount_usd=None)
    assert came_of(in_shares, fills(("181.818", "55", "0"))) == ("partly_filled", False, [("not_filled", "114.56")])
    assert came_of(in_shares, fills(("186.916", "53.5", "0")))[2] == [("overfilled", "162.62")]


def test_what_was_bought_for_its_dollars_gets_nothing_of_a_block() -> None:
    of_block = pl.DataFrame(
        [
            {
                "source": "x",
                "execution_id": "b1",
                "kind": "fill",
                "block_id": "b",
                "quantity": Decimal(3),
                "price_usd": PRICE,
            }
        ],
        schema=MESSAGES,
    )
    messages = pl.concat([fills(("181.818", "55.00", "0")), of_block])
    states = order_states(sent(), messages, fixed())
    assert states["filled_quantity"].item() == Decimal("181.818")


@settings(max_examples=at_most(200), deadline=None)
@given(st.integers(1_000, 5_000_000), st.integers(1_000, 500_000), st.integers(700, 1_300))
def test_whatever_the_price_became_the_dollars_are_what_was_ordered(cents: int, price: int, moved: int) -> None:
    amount, then = Decimal(cents) / 100, Decimal(price) / 1_000
    now = (then * moved / 1_000).quantize(Decimal("0.0001"))
    estimate, bought = (round(amount / each, 3) for each in (then, now))
    if not (estimate and bought):
        return
    book = sent(quantity=estimate, price_usd=then, amount_usd=amount)
    assert came_of(book, fills((str(bought), str(now), "0")))[1:] == (True, [])


# --- what holdings show


def open_order(quantity: str, amount: str | None) -> pl.DataFrame:
    """An order of three days ago that nobody said anything about."""
    rows = orders(("o", "S", "buy", 3, quantity)).with_columns(
        pl.col("filled_quantity").alias("quantity"), is_sent=True, is_closed=False, is_retracted=False
    )
    return rows.with_columns(
        filled_quantity=pl.lit(0, pl.Decimal(18, 6)),
        amount_usd=pl.lit(None if amount is None else Decimal(amount), pl.Decimal(38, 6)),
    )


def shown(quantity: str, now: str, amount: str | None = "10000") -> bool:
    found = open_to_show(open_order(quantity, amount), held((3, "S", "50")), pl.Series(["o"]))
    return unshown(found, lots(S=now), NO_TRADES).is_empty()


@pytest.mark.parametrize(
    ("now", "is_shown"), [("50", False), ("120", False), ("216", True), ("233.925", True), ("250", True)]
)
def test_an_open_order_in_dollars_is_shown_by_about_as_many_shares(now: str, *, is_shown: bool) -> None:
    assert shown("183.925", now) is is_shown


def test_an_open_order_in_shares_is_shown_by_all_of_them() -> None:
    assert not shown("183.925", "233.924", None)
    assert shown("183.925", "233.925", None)


@pytest.mark.parametrize(
    ("now", "explained"), [("233.925", "183.925"), ("216", "166"), ("245", "195"), ("300", "204.361111")]
)
def test_an_open_order_in_dollars_explains_what_its_dollars_may_buy(now: str, explained: str) -> None:
    found = open_to_show(open_order("183.925", "10000"), held((3, "S", "50")), pl.Series(["o"]))
    prices = table("prices", "security_id | price_usd\n S | 54")
    (row,) = presumed_fills(found, lots(S=now), NO_TRADES, prices, day(0)).iter_rows(named=True)
    assert row["quantity"] == Decimal(explained)
