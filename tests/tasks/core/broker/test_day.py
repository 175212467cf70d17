"""A simulated day: nothing is filled that was not ordered, and every price is that of the formula, reckoned once more by hand."""

import math
from collections import defaultdict
from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.broker.day import MARKET, ORDERS, REPORTS, BrokerModel, day_of

DAY = date(2026, 3, 3)
WILD = BrokerModel(participation=0.1, impact=0.7, reject_rate=0.1, bust_rate=0.2, correct_rate=0.3)


def orders_of(rows: list[tuple[str, str, str, str]]) -> pl.DataFrame:
    """Orders o0, o1, ... of side, security, quantity and price."""
    cells = [
        (f"o{place}", f"a{place}", side, security.upper(), security, Decimal(quantity), Decimal(price))
        for place, (side, security, quantity, price) in enumerate(rows)
    ]
    return pl.DataFrame(cells, schema=ORDERS, orient="row")


def market_of(*rows: tuple[str, float, float, float]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=MARKET, orient="row")


QUANTITIES = st.integers(1, 10**9).flatmap(
    lambda digits: st.sampled_from([0, 3, 6]).map(lambda places: str(Decimal(digits).scaleb(-places)))
)
BOOKS = st.lists(
    st.tuples(st.sampled_from(["buy", "sell"]), st.sampled_from("xyz"), QUANTITIES, st.just("100.25")),
    min_size=1,
    max_size=12,
)
MARKETS = st.tuples(
    *(st.tuples(st.just(name), st.floats(0, 100), st.floats(0, 0.2), st.floats(1, 1e9)) for name in "xyz")
)


def standing(reports: pl.DataFrame) -> dict[str, list[tuple[Decimal, Decimal]]]:
    """Quantity and price of each order's fills that stand in the end, told report by report."""
    fills: dict[str, tuple[str, Decimal, Decimal]] = {}
    for row in reports.iter_rows(named=True):
        if row["reference_id"]:
            del fills[row["reference_id"]]
        if row["kind"] in {"fill", "correct"}:
            fills[row["execution_id"]] = (row["client_order_id"], row["quantity"], row["price_usd"])
    found = defaultdict(list)
    for name, quantity, price in fills.values():
        found[name].append((quantity, price))
    return found


@given(BOOKS, MARKETS, st.integers(0, 10**6))
def test_no_order_is_overfilled_no_volume_exceeded_and_every_price_is_that_of_the_formula(
    book: list[tuple[str, str, str, str]], markets: tuple[tuple[str, float, float, float], ...], seed: int
) -> None:
    orders = orders_of(book)
    reports = day_of(orders, market_of(*markets), WILD, seed=seed, trade_date=DAY)
    assert reports.schema == REPORTS
    assert reports["execution_id"].is_unique().all()
    assert reports["execution_id"].str.starts_with("SIMULATED-").all()
    fills, kinds = standing(reports), reports.group_by("client_order_id").agg("kind")
    told = {name: set(some) for name, some in kinds.iter_rows()}
    assert set(told) == set(orders["order_id"])
    first = reports.filter(kind="fill")  # before anything is busted
    asked: dict[tuple[str, str], float] = defaultdict(float)
    volume: dict[str, Decimal] = defaultdict(Decimal)
    for security, side, quantity in first.select("security_id", "side", "quantity").iter_rows():
        asked[security, side] += float(quantity)
        volume[security] += quantity
    of = {name: (spread, sigma, most) for name, spread, sigma, most in markets}
    for security, sum_ in volume.items():
        assert float(sum_) <= 0.1 * of[security][2] * (1 + 1e-12)
    for row in orders.iter_rows(named=True):
        name, some = row["order_id"], fills.get(row["order_id"], [])
        filled = sum((quantity for quantity, _ in some), Decimal(0))
        digits = max(-Decimal(b[2]).normalize().as_tuple().exponent for b in book if b[1] == row["security_id"])  # type: ignore[operator]
        assert filled <= row["quantity"]
        assert all(quantity == round(quantity, max(digits, 0)) for quantity, _ in some)
        assert ("cancelled" in told[name]) == (filled < row["quantity"] and "rejected" not in told[name])
        assert ("rejected" in told[name]) != ("acknowledged" in told[name])
        assert "rejected" not in told[name] or told[name] == {"rejected"}
        spread, sigma, most = of[row["security_id"]]
        move = spread / 10_000 + 0.7 * sigma * math.sqrt(asked[row["security_id"], row["side"]] / most)
        right = 100.25 * (1 + move if row["side"] == "buy" else 1 - move)
        assert all(abs(float(price) - max(right, 0.000001)) < 1e-6 + 1e-12 * right for _, price in some)


@given(BOOKS, MARKETS, st.integers(0, 10**6), st.randoms())
def test_the_order_of_the_orders_changes_nothing(
    book: list[tuple[str, str, str, str]],
    markets: tuple[tuple[str, float, float, float], ...],
    seed: int,
    random: object,
) -> None:
    orders, market = orders_of(book), market_of(*markets)
    places = list(range(orders.height))
    random.shuffle(places)  # type: ignore[attr-defined]
    one, other = (day_of(some, market, WILD, seed=seed, trade_date=DAY) for some in (orders, orders[places]))
    assert one.equals(other)


def test_what_happens_to_an_order_does_not_depend_on_orders_in_other_securities() -> None:
    rows = [("buy", "x" if place % 2 else "y", "120", "50") for place in range(400)]
    market = market_of(("x", 2, 0.02, 1e5), ("y", 2, 0.02, 1e9))
    orders = orders_of(rows)
    whole, alone = (
        day_of(some, market, WILD, seed=4, trade_date=DAY) for some in (orders, orders.filter(security_id="x"))
    )
    assert whole.filter(security_id="x").equals(alone)
    counts = dict(whole["kind"].value_counts().iter_rows())
    assert min(counts.values()) > 20  # every kind is there
    again = day_of(orders, market, WILD, seed=5, trade_date=DAY)
    assert not again.equals(whole)


def test_rates_of_a_day_are_those_of_the_model() -> None:
    orders = orders_of([("buy", "x", "3", "50")] * 5000)
    reports = day_of(
        orders,
        market_of(("x", 2, 0.02, 1e9)),
        BrokerModel(reject_rate=0.05, bust_rate=0.02, correct_rate=0.1),
        seed=1,
        trade_date=DAY,
    )
    counts = dict(reports["kind"].value_counts().iter_rows())
    assert counts["rejected"] == pytest.approx(250, abs=60)
    assert counts["bust"] == pytest.approx(95, abs=40)
    assert counts["correct"] == pytest.approx(465, abs=90)


@pytest.mark.parametrize(
    ("quantity", "volume", "filled"),
    [("100", 1000.0, "25"), ("100.5", 1000.0, "25"), ("0.4", 1.0, "0"), ("100.5", 4000.0, "100")],
)
def test_at_most_two_and_a_half_percent_of_the_volume_is_filled_in_steps_of_the_security(
    quantity: str, volume: float, filled: str
) -> None:
    orders = orders_of([("sell", "x", quantity, "50")])
    calm = BrokerModel(reject_rate=0, bust_rate=0, correct_rate=0)
    reports = day_of(orders, market_of(("x", 0, 0, volume)), calm, seed=1, trade_date=DAY)
    some = standing(reports).get("o0", [])
    assert sum((amount for amount, _ in some), Decimal(0)) == Decimal(filled)
    assert {price for _, price in some} <= {Decimal(50)}


def test_a_day_by_hand() -> None:
    """400 of 1,000,000 shares at 2 % a day: sqrt(0.0004) = 0.02, so 0.02 x 0.02 = 4 bps, and 1 bp of half spread."""
    orders = orders_of([("buy", "x", "300", "50"), ("buy", "x", "100", "50"), ("sell", "x", "1", "50")])
    calm = BrokerModel(reject_rate=0, bust_rate=0, correct_rate=0)
    reports = day_of(orders, market_of(("x", 1, 0.02, 1e6)), calm, seed=1, trade_date=DAY)
    prices = {name: price for name, some in standing(reports).items() for _, price in some}
    assert prices == {"o0": Decimal("50.025"), "o1": Decimal("50.025"), "o2": Decimal("49.994")}
    moments = reports["executed_at"].dt.convert_time_zone("America/New_York")
    assert (moments.dt.date() == DAY).all()
    assert moments.dt.strftime("%H:%M").min() == "09:30"
    assert moments.dt.strftime("%H:%M").max() < "13:00"
