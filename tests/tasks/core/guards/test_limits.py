from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from schemas.enums import Guard
from tasks.core import guards
from tasks.core.guards import Finding, Size
from tests.support.landing_book import rows_of

SESSIONS = [date(2026, 1, day) for day in (2, 5, 6, 7, 8, 9)]


def held(text: str) -> pl.DataFrame:
    """Prices of securities held, drawn."""
    dates = pl.col("price_date").str.to_date()
    return rows_of(text).with_columns(dates, pl.col("price_usd", "last_price_usd").cast(pl.Decimal(18, 6)))


def priced(*days: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "security_id": [f"S{number}" for number, _ in enumerate(days)],
            "price_date": [date(2026, 1, day) for day in days],
        }
    )


def one(found: list[Finding]) -> tuple[Guard, str]:
    (finding,) = found
    return finding.guard, finding.sentence


@pytest.mark.parametrize(
    ("out", "pulled", "is_held"),
    [
        (0, 0, False),
        (1, 1, False),
        (10, 10, False),  # nothing of it is traded anyhow
        (1, 21, False),
        (2, 21, False),
        (20, 21, False),
        (21, 21, True),
        (15, 400, False),
        (20, 400, False),  # touches the share
        (25, 400, True),
        (21, 420, False),  # touches the share
        (21, 419, True),
        (20, 100, False),  # touches the number
        (21, 100, True),
    ],
)
def test_a_run_is_held_for_more_accounts_than_can_be_looked_at_one_by_one_and_more_than_their_share(
    out: int, pulled: int, *, is_held: bool
) -> None:
    assert bool(guards.quarantined_accounts(out, pulled, 0.05, min_accounts=20)) == is_held


def test_a_desk_may_want_every_quarantined_account_to_hold_the_run() -> None:
    assert one(guards.quarantined_accounts(1, 400, 0.0, min_accounts=0)) == (
        Guard.QUARANTINE,
        "1 of 400 accounts are quarantined (0.2%); the limit is 0.0%",
    )
    assert guards.quarantined_accounts(0, 0, 0.0, min_accounts=0) == []


def test_lots_of_nobody_beyond_the_limit_stop_the_run() -> None:
    assert guards.nobodys_lots(50, 1_000, 0.05, accounts=20, min_accounts=20) == []
    assert guards.nobodys_lots(0, 0, 0.0, accounts=20, min_accounts=20) == []
    assert one(guards.nobodys_lots(51, 1_000, 0.05, accounts=20, min_accounts=20)) == (
        Guard.QUARANTINE,
        "51 of 1,000 lots name no account that was delivered (5.1%); the limit is 5.0%",
    )
    assert guards.nobodys_lots(999, 1_000, 0.05, accounts=19, min_accounts=20) == []


@pytest.mark.parametrize(
    ("days", "most", "is_held"), [((9, 2), 0, False), ((8, 8), 0, True), ((8, 8), 1, False), ((7,), 1, True)]
)
def test_the_newest_price_may_be_so_many_trading_days_old(days: tuple[int, ...], most: int, is_held: bool) -> None:  # noqa: FBT001
    found = guards.stale_prices(priced(*days), SESSIONS, most=most, most_of_one=5)
    assert bool(found) == is_held


def test_old_prices_say_how_old_and_what_was_needed() -> None:
    guard, sentence = one(guards.stale_prices(priced(8, 7), SESSIONS, most=0, most_of_one=5))
    assert guard is Guard.STALE_PRICES
    assert sentence == "the newest price is dated 2026-01-08; needed 2026-01-09 or later. Yesterday's file again?"


def test_a_security_of_its_own_old_price_is_named() -> None:
    _, sentence = one(guards.stale_prices(priced(9, 5, 2), SESSIONS, most=0, most_of_one=2))
    assert sentence == "2 securities held have prices older than 2026-01-07: S2 of 2026-01-02, S1 of 2026-01-05"


def test_nothing_held_has_no_stale_price() -> None:
    assert guards.stale_prices(priced(), SESSIONS, most=0, most_of_one=0) == []


def test_a_weekend_counts_from_its_friday() -> None:
    assert guards.stale_prices(priced(9), SESSIONS, most=0, most_of_one=0) == []


MOVES = """
    security_id | price_usd | price_date | last_price_usd
    CALM        | 101       | 2026-01-09 | 100
    EDGE        | 140       | 2026-01-09 | 100
    HALF        | 50.5      | 2026-01-09 | 100
    NEW         | 7         | 2026-01-09 |
    JUMP        | 910       | 2026-01-09 | 100
"""


def test_prices_that_moved_too_far_are_named_the_farthest_first() -> None:
    guard, sentence = one(guards.price_moves(held(MOVES), 0.4))
    assert guard is Guard.PRICE_MOVE
    assert sentence == (
        "2 securities held moved by more than 40%: JUMP from 100.00 to 910.00; a split would explain it, "
        "HALF from 100.00 to 50.50; a split would explain it"
    )


def test_prices_within_the_limit_hold_nothing() -> None:
    assert guards.price_moves(held(MOVES), 9.0) == []


def test_no_limit_no_guard() -> None:
    assert guards.price_moves(held(MOVES), None) == []
    assert guards.order_count(10**9, None) == []
    assert guards.missing_accounts(50, 100, None, min_accounts=1) == []
    assert guards.lot_shrinkage(Size(100, 1), Size(100, 900), None, min_accounts=1) == []
    assert guards.turnover(Decimal(200), Decimal(100), 100, None, min_accounts=1) == []


def test_a_long_list_says_how_many_it_leaves_out() -> None:
    many = pl.DataFrame(
        {
            "security_id": [f"S{number}" for number in range(8)],
            "price_usd": [Decimal(3)] * 8,
            "last_price_usd": [Decimal(1)] * 8,
        }
    )
    assert one(guards.price_moves(many, 0.4))[1].endswith(" and 3 more")


def test_missing_accounts_stop_a_run_beyond_their_share() -> None:
    assert guards.missing_accounts(5, 100, 0.05, min_accounts=20) == []
    assert guards.missing_accounts(0, 0, 0.0, min_accounts=0) == []
    assert one(guards.missing_accounts(6, 100, 0.05, min_accounts=20)) == (
        Guard.MISSING_ACCOUNTS,
        "6 of the last night's 100 accounts are missing (6.0%); the limit is 5.0%",
    )


def test_a_snapshot_much_smaller_than_the_last_stops_the_run() -> None:
    assert guards.lot_shrinkage(Size(100, 800), Size(100, 1000), 0.2, min_accounts=20) == []
    assert one(guards.lot_shrinkage(Size(100, 799), Size(100, 1000), 0.2, min_accounts=20)) == (
        Guard.SMALL_SNAPSHOT,
        "799 lots came, 1,000 the last night (20.1% fewer); the limit is 20.0%",
    )
    assert guards.lot_shrinkage(Size(100, 5), Size(100, 0), 0.2, min_accounts=20) == []


def test_turnover_is_half_of_buys_and_sells_over_value() -> None:
    assert guards.turnover(Decimal(50), Decimal(100), 20, 0.25, min_accounts=20) == []
    assert one(guards.turnover(Decimal("50.02"), Decimal(100), 20, 0.25, min_accounts=20)) == (
        Guard.TURNOVER,
        "the run would turn over 25.0% of 100.00 USD; the limit is 25.0%",
    )
    assert guards.turnover(Decimal(50), Decimal(0), 20, 0.25, min_accounts=20) == []


def test_few_accounts_are_not_judged_by_shares() -> None:
    assert guards.turnover(Decimal(200), Decimal(100), 19, 0.25, min_accounts=20) == []
    assert guards.missing_accounts(19, 19, 0.05, min_accounts=20) == []
    assert guards.lot_shrinkage(Size(19, 0), Size(19, 100), 0.2, min_accounts=20) == []


def test_orders_are_counted() -> None:
    assert guards.order_count(7, 7) == []
    assert one(guards.order_count(1_008, 1_007)) == (
        Guard.ORDER_COUNT,
        "the run would send 1,008 orders; the limit is 1,007",
    )
