"""What the custodian of the sample book shows once fills are booked, reckoned once more account by account."""

from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.demo.book_types import TABLES, FileFormat
from tasks.demo.next_night import BookedFills, make_next_night, market_frame, next_closes
from tasks.demo.sample import make_book, read_market

DAY = date(2022, 12, 29)
FORMATS: tuple[FileFormat, ...] = ("parquet", "csv")


def read(folder: Path, name: str, file_format: FileFormat) -> pl.DataFrame:
    path = folder / f"{name}.{file_format}"
    return pl.read_parquet(path) if file_format == "parquet" else pl.read_csv(path, infer_schema=False)


def amount(cell: object) -> Decimal:
    """Of a cell; an unreadable one counts nothing."""
    try:
        return Decimal(str(cell))
    except ArithmeticError:
        return Decimal(0)


@pytest.fixture(params=FORMATS)
def file_format(request: pytest.FixtureRequest) -> FileFormat:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def book(tmp_path: Path, file_format: FileFormat) -> Path:
    make_book(tmp_path / "book", account_count=200, file_format=file_format)
    return tmp_path / "book"


def some_fills(book: Path, file_format: FileFormat) -> BookedFills:
    """Of five accounts: one and a half lots of a security sold where three were named, and shares of another bought."""
    totals = read(book, "account_totals", file_format)
    lots = read(book, "lots", file_format).filter(pl.col("account_id").is_in(totals["account_id"].implode()))
    orders, relief = [], []
    several = lots.group_by("account_id", "security_id", maintain_order=True).agg(pl.len()).filter(pl.col("len") >= 3)
    for place, (account, security, _) in enumerate(
        several.unique("account_id", maintain_order=True).head(5).iter_rows()
    ):
        theirs = lots.filter(account_id=account, security_id=security).sort("lot_id").head(3).to_dicts()
        first, second, third = (amount(lot["quantity"]) for lot in theirs)
        sold = first + second / 2
        name = f"o{place:02d}"
        orders.append((f"{name}s", account, security, "sell", sold, Decimal(100), sold * 100, DAY))
        orders.append((f"{name}b", account, "KO", "buy", Decimal(3), Decimal("62.5"), Decimal("187.5"), DAY))
        for lot, quantity, term in zip(theirs, (first, second, third), ("long", "short", "long"), strict=True):
            cost = None if lot["unit_cost_usd"] is None else Decimal(str(lot["unit_cost_usd"]))
            relief.append((f"{name}s", lot["lot_id"], quantity, cost, term))
    exact = pl.Decimal(18, 6)
    text = dict.fromkeys(("order_id", "account_id", "security_id", "side"), pl.String)
    numbers = dict.fromkeys(("filled_quantity", "average_price_usd", "gross_usd"), exact)
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "order_id": pl.String,
        "lot_id": pl.String,
        "quantity": exact,
        "unit_cost_usd": exact,
        "term": pl.String,
    }
    return BookedFills(
        pl.DataFrame(orders, schema=[*text.items(), *numbers.items(), ("last_trade_date", pl.Date)], orient="row"),
        pl.DataFrame(relief, schema=schema, orient="row"),
    )


def test_the_next_night_shows_the_fills_and_nothing_else(book: Path, tmp_path: Path, file_format: FileFormat) -> None:
    fills, market = some_fills(book, file_format), next_closes(read_market(), DAY, 1)
    after = tmp_path / "after"
    make_next_night(after, book, fills, market, file_format=file_format)
    assert sorted(path.name for path in after.iterdir()) == sorted(f"{name}.{file_format}" for name in TABLES)
    then, now = ({name: read(folder, name, file_format) for name in TABLES} for folder in (book, after))
    assert all(then[name].schema == now[name].schema for name in TABLES)
    same = ("securities", "model_targets", "policies", "buy_list", "restrictions", "households", "location_preferences")
    assert all(then[name].equals(now[name]) for name in same)
    shares: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    cash: dict[str, Decimal] = defaultdict(Decimal)
    for row in fills.orders.iter_rows(named=True):
        sign = 1 if row["side"] == "buy" else -1
        shares[row["account_id"], row["security_id"]] += sign * row["filled_quantity"]
        cash[row["account_id"]] -= sign * row["gross_usd"]
    moved: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for lots, sign in ((then["lots"], -1), (now["lots"], 1)):
        for account, security, quantity in lots.select("account_id", "security_id", "quantity").iter_rows():
            moved[account, security] += sign * amount(quantity)
    assert {key: change for key, change in moved.items() if change} == {
        key: change for key, change in shares.items() if change
    }
    for account, settled in now["cash"].select("account_id", "settled_usd").iter_rows():
        before = then["cash"].filter(pl.col("account_id") == account)["settled_usd"].to_list()
        assert settled is None or amount(settled) - amount(before[0]) == cash.get(account, 0) or len(before) > 1
    assert now["trades"].height == then["trades"].height + fills.orders.height


def test_totals_are_what_lots_and_cash_come_to_at_the_new_prices(
    book: Path, tmp_path: Path, file_format: FileFormat
) -> None:
    fills, market = some_fills(book, file_format), next_closes(read_market(), DAY, 1)
    after = tmp_path / "after"
    make_next_night(after, book, fills, market, file_format=file_format)
    price = {
        name: amount(usd)
        for name, usd in read(after, "prices", file_format).select("security_id", "price_usd").iter_rows()
    }
    assert read(after, "prices", file_format)["price_date"].cast(pl.String).unique().to_list() == ["2022-12-29"]
    held: dict[str, list[Decimal]] = defaultdict(list)
    for account, security, quantity in (
        read(after, "lots", file_format).select("account_id", "security_id", "quantity").iter_rows()
    ):
        held[account].append(amount(quantity) * price.get(security, Decimal(0)))
    settled = {
        name: amount(usd)
        for name, usd in read(after, "cash", file_format).select("account_id", "settled_usd").iter_rows()
    }
    traded, wrong = set(fills.orders["account_id"]), 0
    for account, value, count in (
        read(after, "account_totals", file_format).select("account_id", "value_usd", "lot_count").iter_rows()
    ):
        is_right = abs(sum(held[account], settled.get(account, Decimal(0))) - amount(value)) <= Decimal("0.02") and len(
            held[account]
        ) == int(count)
        assert is_right or account not in traded
        wrong += not is_right
    assert wrong < 10  # rows that the book broke on purpose


def test_gains_are_those_of_the_lots_that_were_really_closed(
    book: Path, tmp_path: Path, file_format: FileFormat
) -> None:
    fills = some_fills(book, file_format)
    after = tmp_path / "after"
    make_next_night(after, book, fills, next_closes(read_market(), DAY, 1), file_format=file_format)
    account = fills.orders["account_id"][0]
    first, second, _ = fills.relief.head(3).iter_rows(named=True)
    long = (100 - first["unit_cost_usd"]) * first["quantity"]
    short = (100 - second["unit_cost_usd"]) * second["quantity"] / 2
    then, now = (
        read(folder, "accounts", file_format).filter(pl.col("account_id") == account).row(0, named=True)
        for folder in (book, after)
    )
    for name, gain in (("ytd_long_gain_usd", long), ("ytd_short_gain_usd", short)):
        assert abs(amount(now[name]) - amount(then[name]) - gain) <= Decimal("0.01")
    (told,) = read(after, "trades", file_format).filter(
        pl.col("account_id") == account, pl.col("side") == "sell", pl.col("trade_date").cast(pl.String) == str(DAY)
    )["realized_gain_usd"]
    assert abs(amount(told) - long - short) <= Decimal("0.001")


def test_tomorrow_moves_as_a_past_day_did_and_its_market_is_the_book_s() -> None:
    market = read_market()
    after = next_closes(market, DAY, 3)
    assert after.as_of_date == DAY
    moves = after.closes[-1] / market.closes[-1]
    past = market.closes[-250:] / market.closes[-251:-1]
    assert np.isclose(past, moves, rtol=2e-4).all(axis=1).sum() == 1
    told = market_frame(market)
    daily = np.log(market.closes[-60:] / market.closes[-61:-1])
    assert np.allclose(told["daily_volatility"].to_numpy(), [np.std(column, ddof=1) for column in daily.T])
    assert (told["half_spread_bps"] > 0).all()
    apple = told.row(0, named=True)
    assert (apple["security_id"], apple["daily_volume"]) == ("AAPL", round(1_000_000_000 / 125.674))
