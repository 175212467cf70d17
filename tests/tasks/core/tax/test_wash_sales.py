from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, NamedTuple

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.landing_columns import dtypes
from schemas.stored import INTERNAL
from schemas.units import EXACT
from tasks.core.facts.facts import Facts, account_parameters
from tasks.core.tax.wash_rule import disallow_losses
from tasks.core.tax.wash_sales import replaced_quantities, unused_purchases, with_replaced
from tests.support.examples import at_most
from tests.support.facts_table import AS_OF, ago, facts_of, shuffled_facts
from tests.support.landing_book import rows_of

WINDOW = 30
HOUSEHOLD = """
    account_id | household_id | tax_status
    a          | h            | taxable
    b          | h            | taxable
    ira        | h            | tax_deferred
    other      |              | taxable
"""
EVENTS: dict[str, pl.DataType] = {
    "date": pl.Date(),
    "account_id": pl.String(),
    "side": pl.String(),
    "quantity": EXACT,
    "gain_usd": EXACT,
    "acquired_date": pl.Date(),
}


# The rule over a whole history


def history(text: str) -> pl.DataFrame:
    drawn = rows_of(text)
    absent = [pl.lit(None, pl.String).alias(name) for name in EVENTS if name not in drawn.columns]
    return drawn.with_columns(absent).select(
        pl.col("date").str.to_date(),
        pl.col("account_id").fill_null("a"),
        "side",
        pl.col("quantity", "gain_usd").cast(EXACT),
        pl.col("acquired_date").str.to_date(),
    )


def outcome(text: str, **options: Any) -> tuple[list[float], list[float]]:
    """Loss disallowed of each sale, and basis added to each purchase, in the order drawn."""
    found = disallow_losses(history(text), **options)
    is_sale = pl.col("side") == "sell"
    lost, added = found.filter(is_sale)["disallowed_usd"], found.filter(~is_sale)["basis_usd"]
    return [float(usd) for usd in lost], [float(usd) for usd in added]


def test_publication_550_a_loss_of_250_bought_back_for_800_makes_a_basis_of_1050() -> None:
    lost, added = outcome("""
        date       | side | quantity | gain_usd | acquired_date
        2024-01-08 | buy  | 100      |          |
        2024-06-03 | sell | 100      | -250     | 2024-01-08
        2024-06-20 | buy  | 100      |          |
    """)
    assert (lost, added) == ([250], [0, 250])
    assert 800 + added[1] == 1050


def test_regulation_1091_1_h_example_1_a_purchase_before_the_sale_disallows_the_loss() -> None:
    assert outcome("""
        date       | side | quantity | gain_usd | acquired_date
        1954-12-01 | buy  | 100      |          |
        1954-12-15 | buy  | 100      |          |
        1955-01-03 | sell | 100      | -1000    | 1954-12-01
    """) == ([1000], [0, 1000])


def test_regulation_1091_1_h_example_2_fewer_bought_than_sold_disallow_their_share() -> None:
    lost, added = outcome("""
        date       | side | quantity | gain_usd | acquired_date
        1954-09-21 | buy  | 100      |          |
        1954-12-21 | buy  | 50       |          |
        1954-12-27 | buy  | 25       |          |
        1955-01-03 | sell | 100      | -1000    | 1954-09-21
    """)
    assert (lost, added) == ([750], [0, 500, 250])
    assert (2750 + added[1], 1125 + added[2]) == (3250, 1375)


def test_regulation_1091_1_h_example_3_of_more_bought_than_sold_the_first_replace() -> None:
    assert outcome("""
        date       | side | quantity | gain_usd | acquired_date
        1954-09-15 | buy  | 100      |          |
        1956-02-01 | sell | 100      | -1000    | 1954-09-15
        1956-02-18 | buy  | 50       |          |
        1956-02-17 | buy  | 50       |          |
        1956-02-16 | buy  | 50       |          |
        1956-02-15 | buy  | 50       |          |
    """) == ([1000], [0, 0, 0, 500, 500])


@pytest.mark.parametrize(
    ("bought", "lost"), [("2024-05-04", 250), ("2024-05-03", 0), ("2024-07-03", 250), ("2024-07-04", 0)]
)
def test_day_30_on_either_side_disallows_and_day_31_does_not(bought: str, lost: float) -> None:
    assert outcome(f"""
        date       | side | quantity | gain_usd
        2024-06-03 | sell | 100      | -250
        {bought}   | buy  | 100      |
    """) == ([lost], [lost])


def test_a_purchase_on_the_day_of_the_sale_disallows() -> None:
    assert outcome("date | side | quantity | gain_usd\n 2024-06-03 | sell | 9 | -9\n 2024-06-03 | buy | 4 |") == (
        [4],
        [4],
    )


def test_a_gain_of_the_same_day_is_taxed_whole_and_uses_no_purchase_up() -> None:
    assert outcome("""
        date       | side | quantity | gain_usd
        2024-06-03 | sell | 100      | 300
        2024-06-03 | sell | 100      | -250
        2024-06-10 | buy  | 100      |
    """) == ([0, 250], [250])


def test_each_share_bought_replaces_one_share_once_the_earlier_sale_first() -> None:
    assert outcome("""
        date       | side | quantity | gain_usd
        2024-06-10 | sell | 100      | -200
        2024-06-03 | sell | 100      | -100
        2024-06-12 | buy  | 150      |
    """) == ([100, 100], [200])


def test_a_purchase_in_an_ira_disallows_and_the_loss_is_gone() -> None:
    text = """
        date       | account_id | side | quantity | gain_usd
        2024-06-03 | a          | sell | 100      | -250
        2024-06-10 | ira        | buy  | 100      |
    """
    assert outcome(text, untaxed=["ira"]) == ([250], [0])
    assert outcome(text) == ([250], [250])


def test_a_loss_in_an_ira_is_none_and_uses_no_purchase_up() -> None:
    assert outcome(
        """
        date       | account_id | side | quantity | gain_usd
        2024-06-03 | ira        | sell | 100      | -900
        2024-06-04 | a          | sell | 100      | -250
        2024-06-10 | a          | buy  | 100      |
        """,
        untaxed=["ira"],
    ) == ([0, 250], [250])


def test_shares_bought_and_sold_at_a_loss_within_the_window_do_not_replace_themselves() -> None:
    assert outcome("""
        date       | side | quantity | gain_usd | acquired_date
        2024-06-03 | buy  | 100      |          |
        2024-06-20 | sell | 60       | -60      | 2024-06-03
    """) == ([0], [0])


def test_the_same_day_in_another_account_is_another_lot() -> None:
    assert outcome("""
        date       | account_id | side | quantity | gain_usd | acquired_date
        2024-06-03 | a          | buy  | 100      |          |
        2024-06-03 | b          | buy  | 10       |          |
        2024-06-20 | a          | sell | 60       | -60      | 2024-06-03
    """) == ([10], [0, 10])


def test_a_fraction_of_a_share_from_a_dividend_disallows_just_that_fraction() -> None:
    assert outcome("""
        date       | side | quantity | gain_usd
        2024-06-03 | sell | 100      | -250
        2024-06-10 | buy  | 0.125    |
    """) == ([0.3125], [0.3125])


def test_thirds_of_a_loss_add_up_to_it() -> None:
    lost, added = outcome("""
        date       | side | quantity | gain_usd
        2024-06-03 | sell | 3        | -1
        2024-06-10 | buy  | 1        |
        2024-06-11 | buy  | 1        |
        2024-06-12 | buy  | 1        |
    """)
    assert lost == [1]
    assert added == [0.333333, 0.333334, 0.333333]


def test_a_window_of_no_days_is_the_day_of_the_sale() -> None:
    text = "date | side | quantity | gain_usd\n 2024-06-03 | sell | 9 | -9\n 2024-06-03 | buy | 4 |\n 2024-06-04 | buy | 4 |"
    assert outcome(text, wash_sale_days=0) == ([4], [4, 0])


# The same share by share, day by day


class Event(NamedTuple):
    """One purchase, or one sale of shares of one lot; whole shares."""

    day: int
    account: str
    side: str
    quantity: int
    gain: int | None
    lot: int | None


class Share:
    """One share bought."""

    def __init__(self, purchase: int, event: Event) -> None:
        self.purchase, self.day, self.account = purchase, event.day, event.account
        self.is_used = False


def share_by_share(events: list[Event], days: int = WINDOW, untaxed: Iterable[str] = ()) -> list[int]:
    """By event: shares of a sale whose loss is disallowed, shares of a purchase that replaced one."""
    ranked = sorted(range(len(events)), key=lambda e: (events[e].account, events[e].quantity))
    every_day = range(min((e.day for e in events), default=0), max((e.day for e in events), default=0) + 1)
    shares = [
        Share(number, events[number])
        for day in every_day
        for number in ranked
        for _ in range(events[number].quantity)
        if events[number].side == "buy" and events[number].day == day
    ]
    counts = [0] * len(events)
    for today in every_day:
        ordered = sorted(
            (e for e in range(len(events)) if events[e].day == today),
            key=lambda e: (
                events[e].account,
                events[e].lot is None,
                events[e].lot or 0,
                events[e].quantity,
                events[e].gain or 0,
            ),
        )
        for number in ordered:
            sale = events[number]
            if sale.side == "buy" or (sale.gain or 0) >= 0 or sale.account in untaxed:
                continue
            for _ in range(sale.quantity):
                for share in shares:
                    is_own = share.account == sale.account and share.day == sale.lot
                    if not share.is_used and abs(share.day - today) <= days and not is_own:
                        share.is_used = True
                        counts[number] += 1
                        counts[share.purchase] += 1
                        break
    return counts


def as_frame(events: list[Event]) -> pl.DataFrame:
    def on(day: int | None) -> date | None:
        return None if day is None else AS_OF + timedelta(days=day)

    rows = [(on(e.day), e.account, e.side, e.quantity, e.gain, on(e.lot)) for e in events]
    return pl.DataFrame(rows, schema=EVENTS, orient="row")


ACCOUNTS = st.sampled_from(["a", "b", "ira"])
DAYS = st.one_of(st.integers(-70, 0), st.sampled_from([-61, -60, -31, -30, -29, -1, 0]))
SHARES = st.integers(1, 5)
BUY = st.builds(Event, DAYS, ACCOUNTS, st.just("buy"), SHARES, st.none(), st.none())
SELL = st.builds(
    Event, DAYS, ACCOUNTS, st.just("sell"), SHARES, st.sampled_from([-60, -1, 0, 7]), st.one_of(st.none(), DAYS)
)
HISTORY = st.lists(st.one_of(BUY, SELL), max_size=12)


@settings(max_examples=at_most(300))
@given(HISTORY, st.sampled_from([0, 10, 30]), st.sampled_from([(), ("ira",)]))
def test_a_history_share_by_share_disallows_the_same(events: list[Event], days: int, untaxed: tuple[str, ...]) -> None:
    found = disallow_losses(as_frame(events), wash_sale_days=days, untaxed=untaxed)
    by_hand = share_by_share(events, days, untaxed)
    for event, count, lost in zip(events, by_hand, found["disallowed_usd"], strict=True):
        loss = -(event.gain or 0) * count / event.quantity if event.side == "sell" else 0
        assert float(lost) == pytest.approx(loss, abs=1e-6)
    for event, count, added in zip(events, by_hand, found["basis_usd"], strict=True):
        is_touched = event.side == "buy" and event.account not in untaxed and count > 0
        assert (float(added) > 0) is is_touched


@settings(max_examples=at_most(50))
@given(HISTORY)
def test_all_that_is_disallowed_is_added_to_a_basis(events: list[Event]) -> None:
    found = disallow_losses(as_frame(events))
    assert found["disallowed_usd"].sum() == found["basis_usd"].sum()


@settings(max_examples=at_most(50))
@given(HISTORY, st.randoms(use_true_random=False))
def test_the_order_in_which_a_history_is_told_changes_nothing(events: list[Event], random: Any) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)
    columns = [*EVENTS, "disallowed_usd", "basis_usd"]
    found, again = (disallow_losses(as_frame(told)).select(columns).sort(columns) for told in (events, shuffled))
    assert found.equals(again)


# What earlier purchases would disallow of a loss taken tonight


def households_of(facts: Facts) -> pl.DataFrame:
    return account_parameters(facts).select("account_id", "wash_sale_days").join(facts.members, on="account_id")


def replaced(facts: Facts, security: str = "S") -> dict[str, float]:
    """Shares by account."""
    found = replaced_quantities(unused_purchases(facts, households_of(facts), AS_OF))
    return dict(found.filter(pl.col("security_id") == security).select("account_id", "replaced_quantity").rows())


def replaced_lots(facts: Facts) -> dict[str, float]:
    """Shares of each lot."""
    return dict(
        with_replaced(facts.lots, unused_purchases(facts, households_of(facts), AS_OF))
        .select("lot_id", "replaced_quantity")
        .rows()
    )


def bought(days: int, quantity: str = "3", account: str = "ira") -> str:
    return f"account_id | security_id | acquired_date | quantity\n {account} | S | {ago(days)} | {quantity}"


def traded(*rows: str) -> str:
    """Rows of: days ago, account, side, quantity, gain."""
    cells = [[cell.strip() for cell in row.split("|")] for row in rows]
    lines = [
        f"{account} | S | {ago(int(days))} | {side} | {quantity} | {gain}"
        for days, account, side, quantity, gain in cells
    ]
    header = "account_id | security_id | trade_date | side | quantity | realized_gain_usd"
    return "\n".join([header, *lines])


def pending(days: int, *, side: str = "buy", account: str = "ira", quantity: int = 3) -> pl.DataFrame:
    order = (account, "S", side, quantity, AS_OF - timedelta(days=days), True)
    return pl.DataFrame([order], schema=INTERNAL["pending_orders"], orient="row")


LAST = "~"
"""An account that no lot belongs to, after all others."""
ALL_OF_H = {"a": 3, "b": 3, "ira": 3}


@pytest.mark.parametrize(("days", "is_inside"), [(0, True), (30, True), (31, False)])
def test_a_purchase_of_the_household_counts_until_day_30_iras_included(days: int, *, is_inside: bool) -> None:
    expected = ALL_OF_H if is_inside else {}
    assert replaced(facts_of(accounts=HOUSEHOLD, lots=bought(days))) == expected
    assert replaced(facts_of(accounts=HOUSEHOLD, trades=traded(f"{days} | ira | buy | 3 | "))) == expected


@pytest.mark.parametrize(("days", "is_inside"), [(31, False), (30, True), (0, True), (-30, True), (-31, False)])
def test_an_order_to_buy_counts_before_it_is_filled(days: int, *, is_inside: bool) -> None:
    facts = replace(facts_of(accounts=HOUSEHOLD), pending_orders=pending(days))
    assert replaced(facts) == (ALL_OF_H if is_inside else {})


def test_an_order_to_sell_is_no_purchase_and_uses_none_up() -> None:
    facts = replace(facts_of(accounts=HOUSEHOLD, lots=bought(5)), pending_orders=pending(1, side="sell", account="a"))
    assert replaced(facts) == ALL_OF_H


def test_the_window_is_that_of_the_policy() -> None:
    assert replaced(facts_of({"wash_sale_days": 10}, lots=bought(10, account="a"))) == {"a": 3}
    assert replaced(facts_of({"wash_sale_days": 10}, lots=bought(11, account="a"))) == {}


def test_a_lot_and_the_trade_that_bought_it_are_one_purchase() -> None:
    lots = bought(5, "3", "a")
    assert replaced(facts_of(lots=lots, trades=traded("5 | a | buy | 3 | "))) == {"a": 3}
    assert replaced(facts_of(lots=lots, trades=traded("5 | a | buy | 7 | "))) == {"a": 7}
    assert replaced(facts_of(lots=lots, trades=traded("5 | a | buy | 1 | "))) == {"a": 3}
    assert replaced(facts_of(lots=lots, trades=traded("6 | a | buy | 2 | "))) == {"a": 5}


def test_shares_bought_and_sold_again_still_replace() -> None:
    assert replaced(facts_of(trades=traded("9 | a | buy | 3 | ", "5 | a | sell | 3 | 20"))) == {"a": 3}


def test_a_dividend_reinvested_replaces_just_its_fraction_of_a_share() -> None:
    facts = facts_of(
        lots=f"""
            security_id | lot_id   | quantity | acquired_date
            S           | old      | 100      | 2015-01-05
            S           | dividend | 0.125    | {ago(12)}
        """
    )
    assert replaced_lots(facts) == {"old": 0.125, "dividend": 0}


def test_what_an_earlier_loss_sale_of_the_household_used_up_does_not_count_again() -> None:
    facts = facts_of(accounts=HOUSEHOLD, lots=bought(12), trades=traded("5 | a | sell | 2 | -10"))
    assert replaced(facts) == {"a": 1, "b": 1, "ira": 1}


@pytest.mark.parametrize(
    "trade", ["5 | a | sell | 2 | 10", "5 | a | sell | 2 | ", "5 | ira | sell | 2 | -10", "-1 | a | sell | 2 | -1"]
)
def test_what_is_no_loss_sale_of_the_past_uses_nothing_up(trade: str) -> None:
    assert replaced(facts_of(accounts=HOUSEHOLD, lots=bought(12), trades=traded(trade))) == ALL_OF_H


def test_an_earlier_purchase_outside_tonights_window_is_used_up_first() -> None:
    lots = f"""
        security_id | lot_id | quantity | acquired_date
        S           | 1      | 2        | {ago(45)}
        S           | 2      | 4        | {ago(10)}
    """
    assert replaced(facts_of(lots=lots, trades=traded("20 | a | sell | 3 | -9"))) == {"a": 3}
    assert replaced(facts_of(lots=lots, trades=traded("14 | a | sell | 3 | -9"))) == {"a": 1}


def test_a_sale_of_what_was_just_bought_is_not_replaced_by_it() -> None:
    facts = facts_of(trades=traded("25 | a | buy | 5 | ", "9 | a | sell | 5 | -10"))
    assert replaced(facts) == {"a": 5}


def test_a_recent_lot_does_not_replace_itself_and_others_of_its_day_do() -> None:
    facts = facts_of(
        accounts=HOUSEHOLD,
        lots=f"""
            account_id | security_id | lot_id | quantity | acquired_date
            a          | S           | old    | 100      | 2015-01-05
            a          | S           | undated| 4        |
            a          | S           | new    | 10       | {ago(3)}
            a          | S           | twin   | 4        | {ago(3)}
            b          | S           | else   | 2        | {ago(3)}
            other      | S           | lone   | 8        | {ago(3)}
            a          | B           | bond   | 8        | 2015-01-05
        """,
    )
    assert replaced_lots(facts) == {"old": 16, "undated": 4, "new": 6, "twin": 4, "else": 2, "lone": 0, "bond": 0}


def test_the_part_of_a_purchase_that_is_sold_again_does_not_replace_the_rest_of_it() -> None:
    lots = f"security_id | lot_id | quantity | acquired_date\n S | new | 7 | {ago(9)}\n S | old | 50 | 2015-01-05"
    for gain in ("-5", "5"):
        facts = facts_of(lots=lots, trades=traded("9 | a | buy | 10 | ", f"5 | a | sell | 3 | {gain}"))
        assert replaced_lots(facts) == {"new": 0, "old": 10}


def test_a_lot_that_an_earlier_sale_used_up_does_not_count_and_an_order_for_more_does() -> None:
    lots = f"security_id | lot_id | quantity | acquired_date\n S | new | 7 | {ago(0)}\n S | old | 50 | 2015-01-05"
    facts = facts_of(lots=lots, trades=traded("5 | a | sell | 5 | -5"))
    assert replaced_lots(facts) == {"new": 0, "old": 2}
    assert replaced_lots(replace(facts, pending_orders=pending(0, account="a"))) == {"new": 3, "old": 5}


def test_an_order_is_not_of_the_lot_that_was_bought_and_sold_on_its_date() -> None:
    facts = facts_of(trades=traded("9 | a | buy | 5 | ", "5 | a | sell | 5 | -5"))
    assert replaced(replace(facts, pending_orders=pending(9, account="a", quantity=3))) == {"a": 5}


def test_accounts_do_not_influence_other_households() -> None:
    trades = traded("70 | other | sell | 9 | -9", "40 | a | buy | 2 | ", "12 | a | sell | 1 | -1")
    whole = facts_of(accounts=HOUSEHOLD, lots=bought(12), trades=trades)
    alone = facts_of(
        accounts=HOUSEHOLD.replace("other      |              | taxable", ""), lots=bought(12), trades=trades
    )
    assert replaced(whole) == replaced(alone) == dict.fromkeys(ALL_OF_H, 2)


def test_nobody_has_nothing_replaced() -> None:
    facts = facts_of(lots=bought(3))
    nobody = households_of(facts).clear()
    assert replaced_quantities(unused_purchases(facts, nobody, AS_OF)).is_empty()
    assert with_replaced(facts.lots.clear(), unused_purchases(facts, nobody, AS_OF)).is_empty()


# The same share by share


class Book(NamedTuple):
    """One security in one household: purchases held, trades and orders; whole shares, days from tonight."""

    held: dict[tuple[str, int], int]
    buys: list[tuple[str, int, int]]
    losses: list[tuple[str, int, int]]
    orders: list[tuple[str, int, int]]


TRADE = st.tuples(ACCOUNTS, DAYS, SHARES)
BOOKS = st.builds(
    Book,
    st.dictionaries(st.tuples(ACCOUNTS, DAYS), SHARES, max_size=5),
    st.lists(TRADE, max_size=5),
    st.lists(TRADE, max_size=5),
    st.lists(st.tuples(ACCOUNTS, st.integers(-32, 32), SHARES), max_size=2),
)


def facts_of_book(book: Book) -> Facts:
    def on(day: int) -> date:
        return AS_OF + timedelta(days=day)

    lots: list[tuple[Any, ...]] = [
        (account, "S", f"{day}", shares, 1, on(day), False) for (account, day), shares in book.held.items()
    ]
    trades: list[tuple[Any, ...]] = [
        (account, "S", on(day), "buy", shares, 1, None) for account, day, shares in book.buys
    ]
    trades += [(account, "S", on(day), "sell", shares, 1, -1) for account, day, shares in book.losses]
    orders = [(account, "S", "buy", shares, on(day), None) for account, day, shares in book.orders]
    return replace(
        facts_of(accounts=HOUSEHOLD),
        lots=pl.DataFrame(lots, schema=dtypes("lots"), orient="row"),
        trades=pl.DataFrame(trades, schema=dtypes("trades"), orient="row"),
        pending_orders=pl.DataFrame(orders, schema=INTERNAL["pending_orders"], orient="row"),
    )


def told(book: Book) -> list[Event]:
    """The book as a history: each loss sale closes first what is gone of the account's purchases of the last 30 days."""
    days = {(account, day) for account, day, _ in book.buys} | book.held.keys()
    traded = {key: sum(shares for account, day, shares in book.buys if (account, day) == key) for key in days}
    quantity = {key: max(traded[key], book.held.get(key, 0)) for key in days}
    gone = {key: quantity[key] - book.held.get(key, 0) for key in days}
    events = [Event(day, account, "buy", quantity[account, day], None, None) for account, day in days]
    ordered = {(account, day) for account, day, _ in book.orders}
    for key in ordered:
        total = sum(shares for account, day, shares in book.orders if (account, day) == key)
        events.append(Event(key[1], f"{key[0]} order", "buy", total, None, None))
    for account, day, shares in sorted(book.losses, key=lambda loss: loss[1]):
        for _ in range(shares if account != "ira" else 0):
            own = [d for d in range(day - WINDOW, day + 1) if gone.get((account, d), 0) > 0]
            if own:
                gone[account, own[0]] -= 1
            events.append(Event(day, account, "sell", 1, -1, own[0] if own else None))
    return events


def disallowed_tonight(book: Book, account: str, lot: int | None) -> int:
    """Shares of a large sale tonight, in the account and of the lot, that are disallowed."""
    return share_by_share([*told(book), Event(0, account, "sell", 99, -99, lot)])[-1]


@settings(max_examples=at_most(150))
@given(BOOKS)
def test_tonights_replaced_shares_are_those_of_the_history_share_by_share(book: Book) -> None:
    expected = disallowed_tonight(book, LAST, None)
    assert replaced(facts_of_book(book)) == (dict.fromkeys(ALL_OF_H, expected) if expected else {})


@settings(max_examples=at_most(60))
@given(BOOKS)
def test_tonights_replaced_shares_are_those_of_the_rule_over_the_history(book: Book) -> None:
    events = as_frame([*told(book), Event(0, LAST, "sell", 99, -99, None)])
    assert replaced(facts_of_book(book)).get("a", 0) == float(disallow_losses(events)["disallowed_usd"][-1])


@settings(max_examples=at_most(150))
@given(BOOKS)
def test_tonights_replaced_shares_of_a_lot_leave_its_own_purchase_out(book: Book) -> None:
    book = book._replace(losses=[loss for loss in book.losses if loss[1] < 0])
    facts = facts_of_book(book)
    found = with_replaced(facts.lots, unused_purchases(facts, households_of(facts), AS_OF))
    by_lot = dict(zip(book.held, found["replaced_quantity"], strict=True))
    assert by_lot == {
        (account, day): min(shares, disallowed_tonight(book, account, day))
        for (account, day), shares in book.held.items()
    }


@settings(max_examples=at_most(30))
@given(BOOKS, st.integers(0, 9))
def test_the_order_of_the_facts_changes_nothing(book: Book, seed: int) -> None:
    facts = facts_of_book(book)
    shuffled = shuffled_facts(facts, seed)
    found, again = (
        replaced_quantities(unused_purchases(told, households_of(told), AS_OF)) for told in (facts, shuffled)
    )
    assert found.equals(again)
    lots = facts.lots
    assert with_replaced(lots, unused_purchases(facts, households_of(facts), AS_OF)).equals(
        with_replaced(lots, unused_purchases(shuffled, households_of(shuffled), AS_OF))
    )
