from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest

from schemas.executions import MESSAGES, SENT_ORDERS
from tasks.core.reconcile.break_rules import breaks, unasked_fills
from tasks.core.reconcile.order_progress import order_states, proposal_states
from tests.support.fill_streams import Day, drawn_day, half_even, message_table, order_table

FIXED = {"block_id": pl.String(), "order_id": pl.String(), "quantity": pl.Decimal(18, 6)}
STREAMS = 2_000


def fixed(*rows: tuple[str, str, int]) -> pl.DataFrame:
    return pl.DataFrame([(block, order, Decimal(units)) for block, order, units in rows], schema=FIXED, orient="row")


def orders(*quantities: int) -> pl.DataFrame:
    """Orders o0, o1, ... of one block b, two a proposal."""
    rows = [
        {
            "order_id": f"o{place}",
            "proposal_id": f"p{place // 2}",
            "block_id": "b",
            "account_id": f"a{place}",
            "custodian": "Acme",
            "side": "buy",
            "security_id": "s",
            "symbol": "S",
            "quantity": Decimal(quantity),
            "quantity_step": Decimal(1),
            "price_usd": Decimal(10),
        }
        for place, quantity in enumerate(quantities)
    ]
    return pl.DataFrame(rows, schema=SENT_ORDERS)


def said(*rows: tuple[str, str, int | None, str | None]) -> pl.DataFrame:
    """About what (an order, or the block b), kind, quantity, price."""
    return pl.DataFrame(
        [
            {
                "source": "x",
                "execution_id": f"e{place}",
                "kind": kind,
                "order_id": None if about == "b" else about,
                "block_id": "b" if about == "b" else None,
                "quantity": None if quantity is None else Decimal(quantity),
                "price_usd": None if price is None else Decimal(price),
            }
            for place, (about, kind, quantity, price) in enumerate(rows)
        ],
        schema=MESSAGES,
    )


def states(book: pl.DataFrame, messages: pl.DataFrame, given: pl.DataFrame | None = None) -> dict[str, tuple[str, int]]:
    found = order_states(book, messages, fixed() if given is None else given)
    return {
        name: (state, int(filled))
        for name, state, filled in found.select("order_id", "state", "filled_quantity").rows()
    }


def codes(book: pl.DataFrame, messages: pl.DataFrame, given: pl.DataFrame | None = None) -> list[tuple[str, str, str]]:
    given = fixed() if given is None else given
    found = breaks(book, order_states(book, messages, given), messages, given)
    return [(name, code, str(amount)) for name, code, amount in found.select("order_id", "code", "amount_usd").rows()]


def test_an_order_goes_from_exported_to_filled() -> None:
    book = orders(10)
    assert states(book, said()) == {"o0": ("exported", 0)}
    assert states(book, said(("o0", "acknowledged", None, None))) == {"o0": ("acknowledged", 0)}
    assert states(book, said(("o0", "fill", 4, "9.5"))) == {"o0": ("partly_filled", 4)}
    assert states(book, said(("o0", "fill", 4, "9.5"), ("o0", "fill", 6, "9"))) == {"o0": ("filled", 10)}
    assert states(book, said(("o0", "rejected", None, None))) == {"o0": ("failed", 0)}
    assert states(book, said(("o0", "fill", 4, "9.5"), ("o0", "cancelled", None, None))) == {"o0": ("partly_filled", 4)}


def test_what_is_filled_has_its_average_price_and_dates_and_cents() -> None:
    (row,) = order_states(orders(10), said(("o0", "fill", 1, "9.005"), ("o0", "fill", 2, "9.01")), fixed()).to_dicts()
    assert row["gross_usd"] == Decimal("27.02")  # 27.025, to the even cent
    assert row["average_price_usd"] == Decimal("9.008333")
    assert row["fees_usd"] == 0
    assert row["is_closed"] is False


@pytest.mark.parametrize(
    ("fills", "state", "code"),
    [
        (("3.333333", "3.333333", "3.333333"), "filled", []),  # thirds of nine decimals, each rounded
        (("3.333334", "3.333334", "3.333334"), "filled", []),
        (("2.5", "2.5", "2.5", "2.499991"), "filled", []),
        (("3.333333", "3.333333", "3.333313"), "partly_filled", ["not_filled"]),
        (("5", "5.000021"), "filled", ["overfilled"]),
    ],
)
def test_what_rounding_took_of_an_order_is_not_waited_for(fills: tuple[str, ...], state: str, code: list[str]) -> None:
    messages = said(*(("o0", "fill", 1, "10") for _ in fills)).with_columns(
        quantity=pl.Series([Decimal(each) for each in fills], dtype=MESSAGES["quantity"])
    )
    found = order_states(orders(10), messages, fixed()).row(0, named=True)
    assert (found["state"], found["is_closed"]) == (state, state == "filled")
    assert found["filled_quantity"] == sum(map(Decimal, fills))
    assert [each for _, each, _ in codes(orders(10), messages)] == code


def test_a_unit_of_a_large_order_is_waited_for() -> None:
    assert states(orders(4_000_000), said(("o0", "fill", 3_999_999, "10"))) == {"o0": ("partly_filled", 3_999_999)}


def test_a_blocks_fills_are_shared_at_one_price_and_every_cent_is_placed() -> None:
    found = order_states(orders(3, 3, 3), said(("b", "fill", 8, "9.99")), fixed())
    assert found["filled_quantity"].to_list() == [3, 3, 2]
    assert found["gross_usd"].sum() == Decimal("79.92")
    assert found["gross_usd"].to_list() == [Decimal("29.97"), Decimal("29.97"), Decimal("19.98")]


def test_what_a_person_fixed_stands_until_the_market_takes_it_back() -> None:
    book, given = orders(5, 5), fixed(("b", "o1", 5))
    assert states(book, said(("b", "fill", 6, "9")), given) == {"o0": ("partly_filled", 1), "o1": ("filled", 5)}
    assert codes(book, said(("b", "fill", 6, "9")), given) == [("o0", "not_filled", "40.000000")]
    assert states(book, said(("b", "fill", 4, "9")), given) == {"o0": ("partly_filled", 2), "o1": ("partly_filled", 2)}
    assert ("o1", "exception_void", "30.000000") in codes(book, said(("b", "fill", 4, "9")), given)


def test_what_would_leave_shares_with_nobody_is_void_and_told() -> None:
    book, given = orders(3, 3, 3), fixed(("b", "o0", 0))
    found = said(("b", "fill", 8, "9"))
    assert sum(filled for _, filled in states(book, found, given).values()) == 8
    assert ("o0", "exception_void", "0.000000") in codes(book, found, given)


def test_an_order_that_was_turned_down_and_filled_all_the_same_is_an_alarm() -> None:
    assert codes(orders(10), said(("o0", "rejected", None, None), ("o0", "fill", 10, "9"))) == [
        ("o0", "conflicting", "0.000000")
    ]


def test_what_a_block_is_filled_beyond_its_orders_is_nobodys_and_an_alarm() -> None:
    found = said(("b", "fill", 7, "9"))
    assert states(orders(3, 3), found) == {"o0": ("filled", 3), "o1": ("filled", 3)}
    assert codes(orders(3, 3), found) == [("b", "overfilled", "10.000000")]


def test_an_order_filled_or_turned_down_by_itself_wants_less_of_its_block() -> None:
    book = orders(6, 6, 6)
    alone = said(("o0", "fill", 4, "9"), ("o1", "rejected", None, None), ("b", "fill", 8, "10"))
    assert states(book, alone) == {"o0": ("filled", 6), "o1": ("failed", 0), "o2": ("filled", 6)}
    assert codes(book, alone) == [("o1", "rejected", "60.000000")]


def test_a_block_filled_with_what_an_order_did_not_want_any_more_is_an_alarm() -> None:
    found = said(("o0", "rejected", None, None), ("b", "fill", 6, "10"))
    assert states(orders(3, 3), found) == {"o0": ("failed", 0), "o1": ("filled", 3)}
    assert ("b", "overfilled", "30.000000") in codes(orders(3, 3), found)


def test_a_cancelled_order_may_have_been_filled_with_its_block_before() -> None:
    found = said(("b", "fill", 4, "10"), ("o0", "cancelled", None, None))
    assert states(orders(4, 4), found) == {"o0": ("partly_filled", 2), "o1": ("partly_filled", 2)}


def test_what_a_person_fixed_is_void_where_the_order_does_not_want_it_any_more() -> None:
    given = fixed(("b", "o0", 5))
    found = said(("o0", "fill", 4, "9"), ("b", "fill", 6, "10"))
    assert sum(filled for _, filled in states(orders(6, 6), found, given).values()) == 10
    assert ("o0", "exception_void") in [code[:2] for code in codes(orders(6, 6), found, given)]


def test_breaks_say_what_is_missing_and_what_it_is_worth() -> None:
    book = orders(10, 10, 10, 10, 10)
    found = said(
        ("o0", "fill", 10, "9"),
        ("o1", "fill", 12, "9"),
        ("o2", "rejected", None, None),
        ("o3", "fill", 4, "9"),
        ("o3", "cancelled", None, None),
    )
    assert codes(book, found) == [
        ("o1", "overfilled", "20.000000"),
        ("o2", "rejected", "100.000000"),
        ("o3", "cancelled", "60.000000"),
        ("o4", "not_acknowledged", "100.000000"),
    ]


def test_a_bust_or_correction_that_leads_to_no_fill_is_told() -> None:
    lost = said(("o0", "bust", None, None), ("b", "correct", 4, "9"), ("o1", "fill", 10, "9"))
    about = lost.with_columns(reference_id=pl.when(pl.col("kind") != "fill").then(pl.lit("gone")))
    assert [row for row in codes(orders(10, 10), about) if row[1] == "unknown_fill"] == [
        ("b", "unknown_fill", "0.000000"),
        ("o0", "unknown_fill", "0.000000"),
    ]
    ring = lost.with_columns(reference_id=pl.when(pl.col("kind") != "fill").then(pl.col("execution_id")))
    assert len([row for row in codes(orders(10, 10), ring) if row[1] == "unknown_fill"]) == 2
    known = lost.with_columns(reference_id=pl.when(pl.col("kind") != "fill").then(pl.lit("e2")))
    assert not [row for row in codes(orders(10, 10), known) if row[1] == "unknown_fill"]


@pytest.mark.parametrize(
    ("messages", "state"),
    [
        ((), "exported"),
        ((("o0", "acknowledged"),), "acknowledged"),
        ((("o0", "rejected"),), "acknowledged"),
        ((("o0", "rejected"), ("o1", "rejected")), "failed"),
        ((("o0", "fill"),), "partly_filled"),
        ((("o0", "fill"), ("o1", "rejected")), "partly_filled"),
        ((("o0", "fill"), ("o1", "fill")), "filled"),
    ],
)
def test_a_proposal_is_what_its_orders_are_together(messages: tuple[tuple[str, str], ...], state: str) -> None:
    book = orders(10, 10)
    found = said(
        *((about, kind, 10 if kind == "fill" else None, "9" if kind == "fill" else None) for about, kind in messages)
    )
    assert proposal_states(book, order_states(book, found, fixed())).rows() == [("p0", state)]


def by_hand(day: Day) -> tuple[dict[tuple[str, str], Decimal], dict[str, Decimal]]:
    """Positions by account and security, and cash by account, from what truly happened: fractions, no frames."""
    position: dict[tuple[str, str], Decimal] = {}
    cash: dict[str, Decimal] = {}

    def book(row: dict[str, object], quantity: Decimal, gross: Decimal) -> None:
        sign = 1 if row["side"] == "buy" else -1
        key = str(row["account_id"]), str(row["security_id"])
        position[key] = position.get(key, Decimal(0)) + sign * quantity
        cash[key[0]] = cash.get(key[0], Decimal(0)) - sign * gross

    for name, fills in day.truth.items():
        gross = half_even(sum((Fraction(q) * Fraction(p) for q, p, _ in fills), Fraction(0)))
        filled = sum((q for q, *_ in fills), Decimal(0))
        if "-o" in name:
            book(next(row for row in day.orders if row["order_id"] == name), filled, gross)
            continue
        members = sorted((row for row in day.orders if row["block_id"] == name), key=lambda row: row["order_id"])
        for row, quantity, paid in zip(members, *shared_by_hand(members, day.wants, filled, gross), strict=True):
            book(row, quantity, paid)
    return position, cash


def shared_by_hand(
    members: list[dict[str, Any]], wants: dict[str, Decimal], filled: Decimal, gross: Decimal
) -> tuple[list[Decimal], list[Decimal]]:
    """Largest remainders, a unit at a time: whoever is furthest below their due is next; the largest order first, then by name."""
    step = members[0]["quantity_step"]
    ordered = [wants[row["order_id"]] for row in members]
    by_size = sorted(range(len(members)), key=lambda place: (-ordered[place], place))
    quantities = dealt([Fraction(each) for each in ordered], filled, step, by_size)
    paid = dealt([Fraction(each) for each in quantities], gross, Decimal("0.01"), range(len(members)))
    return quantities, paid


def dealt(weights: list[Fraction], amount: Decimal, unit: Decimal, order: range | list[int]) -> list[Decimal]:
    total = sum(weights)
    if total == 0:
        return [Decimal(0) for _ in weights]
    due = [weight * Fraction(amount) / total for weight in weights]
    got = [each // Fraction(unit) * Fraction(unit) for each in due]
    for place in sorted(order, key=lambda place: got[place] - due[place]):
        if sum(got) < Fraction(amount):
            got[place] += Fraction(unit)
    return [Decimal(each.numerator) / Decimal(each.denominator) for each in got]


def test_positions_and_cash_of_random_streams_agree_with_a_model_to_the_cent() -> None:
    days = [drawn_day(seed) for seed in range(STREAMS)]
    found = order_states(order_table(days), message_table(days), fixed())
    sign = pl.when(pl.col("side") == "buy").then(1).otherwise(-1)
    booked = order_table(days).join(found, on="order_id").with_columns(sign=sign)
    answers = {str(key[0]): rows for key, rows in booked.group_by(pl.col("order_id").str.split("-").list.first())}
    for seed, day in enumerate(days):
        position, cash = by_hand(day)
        columns = ("account_id", "security_id", "sign", "filled_quantity", "gross_usd")
        for account, security, direction, filled, gross in answers[str(seed)].select(columns).iter_rows():
            position[account, security] = position.get((account, security), Decimal(0)) - direction * filled
            cash[account] = cash.get(account, Decimal(0)) + direction * gross
        assert not any(position.values()), seed
        assert not any(cash.values()), seed
        fees = sum((fee for fills in day.truth.values() for *_, fee in fills), Decimal(0))
        assert answers[str(seed)]["fees_usd"].sum() == fees, seed


def test_the_order_of_the_messages_changes_nothing() -> None:
    days = [drawn_day(seed) for seed in range(50)]
    book, messages = order_table(days), message_table(days)
    first = order_states(book, messages, fixed())
    again = order_states(
        book.sample(fraction=1, shuffle=True, seed=1), messages.sample(fraction=1, shuffle=True, seed=2), fixed()
    )
    assert again.equals(first)


def test_a_block_filled_beyond_its_orders_leaves_money_with_nobody_and_never_with_an_account() -> None:
    found = order_states(orders(3, 3), said(("b", "fill", 9, "10")), fixed())
    assert found["gross_usd"].to_list() == [Decimal(30), Decimal(30)]


@pytest.mark.parametrize(("factor", "gross"), [(None, "985.00"), ("1", "985.00"), ("0.01", "9.85"), ("10", "9850.00")])
def test_a_fill_is_worth_its_quantity_and_price_times_the_factor(factor: str | None, gross: str) -> None:
    book = orders(10).with_columns(
        price_factor=pl.lit(None if factor is None else Decimal(factor)).cast(pl.Decimal(18, 6))
    )
    found = order_states(book, said(("o0", "fill", 10, "98.5")), fixed()).row(0, named=True)
    assert (str(found["gross_usd"]), found["average_price_usd"]) == (gross + "0000", Decimal("98.5"))


def test_a_block_of_bonds_is_shared_by_what_it_is_worth_and_a_break_too() -> None:
    factor = pl.lit(Decimal("0.01")).cast(pl.Decimal(18, 6))
    book = orders(1000, 3000).with_columns(
        price_factor=factor, quantity_step=pl.lit(Decimal(1000)).cast(pl.Decimal(18, 6))
    )
    whole = order_states(book, said(("b", "fill", 4000, "98.765")), fixed())
    assert whole["gross_usd"].to_list() == [Decimal("987.65"), Decimal("2962.95")]
    assert whole["average_price_usd"].to_list() == [Decimal("98.765")] * 2
    part = said(("b", "fill", 1000, "98.765"), ("b", "cancelled", None, None))
    short = [amount for _, _, amount in codes(book, part)]
    assert sum(Decimal(amount) for amount in short) == Decimal(3000) * Decimal(10) / 100


def test_fills_and_corrections_of_orders_that_never_left_are_breaks_and_what_names_no_shares_is_none() -> None:
    aside = pl.DataFrame(
        [
            ("fill", "unknown_order", Decimal(1)),
            ("correct", "unknown_order", Decimal(2)),
            ("bust", "unknown_order", None),
            ("fill", "duplicate", Decimal(3)),
        ],
        schema={"kind": pl.String, "code": pl.String, "quantity": pl.Decimal(18, 6)},
        orient="row",
    )
    assert unasked_fills(aside)["kind"].to_list() == ["fill", "correct"]
