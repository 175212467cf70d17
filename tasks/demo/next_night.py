"""The sample book on the session after its own: what the custodian shows once the fills of the first night are booked.

1. Sales close the lots that the export names, in its order, as far as they were filled. A purchase is a lot of its own at what was paid.
2. Cash has settled, gains are those of the year, trades stand in the table of trades, the custodian's totals follow. What was pending still is.
3. Prices are tomorrow's, which nobody knows: each security's last close moved as on one past session, the same for all, drawn by the seed.

Accounts that did not trade are shown as they were, broken rows too: only their totals follow the prices. The real prices end with the book's day.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from schemas.enums import Side
from schemas.landing_columns import dtypes
from schemas.units import EXACT
from tasks.demo.book_reference import FUNDS, SECURITIES, SYMBOLS, prices
from tasks.demo.book_types import TABLES, DailyCloses, FileFormat

LOOK_BACK: Final = 250
"""Sessions of which one is drawn."""
VOLATILITY_DAYS: Final = 60
VOLUME_USD: Final = {"stock": 1_000_000_000.0, "fund": 200_000_000.0}
"""Assumed: what is traded of a large company, and of a factor fund, on a day."""
_WIDE: Final = pl.Decimal(38, 6)
_LOT: Final = ("account_id", "security_id", "lot_id")
_CHANGED: Final = ("accounts", "lots", "cash", "trades", "prices", "account_totals")
Tables = dict[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class BookedFills:
    """What became of the orders that left.

    ``orders``: ``order_id, account_id, security_id, side, filled_quantity, average_price_usd, gross_usd, last_trade_date``, filled in part or whole.
    ``relief``: ``order_id, lot_id, quantity, unit_cost_usd, term``, the lots that sales close, in that order.
    """

    orders: pl.DataFrame
    relief: pl.DataFrame


def market_frame(market: DailyCloses) -> pl.DataFrame:
    """``security_id, half_spread_bps, daily_volatility, daily_volume``, the market of a simulated broker.

    Half spreads are the book's, volatility is the deviation of the last sessions' returns. Volumes are in no package: ``VOLUME_USD``, at the last close.
    """
    returns = np.diff(np.log(market.closes[-VOLATILITY_DAYS - 1 :]), axis=0)
    spreads = [security.half_spread_bps for security in SECURITIES]
    dollars = np.array([VOLUME_USD["fund" if security in FUNDS else "stock"] for security in SECURITIES])
    return pl.DataFrame(
        {
            "security_id": SYMBOLS,
            "half_spread_bps": spreads,
            "daily_volatility": returns.std(axis=0, ddof=1),
            "daily_volume": (dollars / market.closes[-1]).round(),
        }
    )


def next_closes(market: DailyCloses, day: date, seed: int) -> DailyCloses:
    """The market with one session more, ``day``: the last closes moved as on a past one."""
    place = int(np.random.default_rng(seed).integers(LOOK_BACK)) + 1
    moves = market.closes[-place] / market.closes[-place - 1]
    closes = np.vstack([market.closes, (market.closes[-1] * moves).round(4)])
    return DailyCloses(dates=np.append(market.dates, np.datetime64(day)), closes=closes)


def make_next_night(
    folder: Path, before: Path, fills: BookedFills, market: DailyCloses, *, file_format: FileFormat
) -> None:
    """Write the landing folder of the next session, in the place of one that is there.

    Parameters
    ----------
    folder
        What is written; only its owner may read it.
    before
        The sample book as ``make_book`` wrote it.
    fills
        What was filled of its orders.
    market
        ``next_closes``; its last session is the day.
    file_format
        Of both.
    """
    tables = {name: _read(before / f"{name}.{file_format}") for name in _CHANGED}
    after = book_fills(tables, fills, market)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    for name in TABLES:
        path = folder / f"{name}.{file_format}"
        path.touch(mode=0o600)
        if name not in _CHANGED:
            shutil.copyfile(before / path.name, path)
        elif file_format == "csv":
            after[name].write_csv(path)
        else:
            after[name].write_parquet(path, compression="zstd")


def _read(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema=False)


def book_fills(tables: Mapping[str, pl.DataFrame], fills: BookedFills, market: DailyCloses) -> Tables:
    """The tables ``accounts``, ``lots``, ``cash``, ``trades``, ``prices`` and ``account_totals`` with the fills in them, in the types that they have."""
    closed = _closed_lots(fills)
    traded = fills.orders["account_id"].unique()
    now = prices(market)
    change: Tables = {
        "lots": _lots(_typed_rows(tables, "lots", traded), fills.orders, closed),
        "cash": _cash(_typed_rows(tables, "cash", traded), fills.orders),
        "accounts": _gains(_typed_rows(tables, "accounts", traded), closed),
        "trades": pl.concat([_typed_rows(tables, "trades", traded), _trades(fills.orders, closed)]),
    }
    done = {name: _replace(tables[name], rows, traded) for name, rows in change.items()}
    totals = _totals(tables, done, tables["prices"], now)
    return {**done, "prices": _as(tables["prices"], now), "account_totals": _as(tables["account_totals"], totals)}


def _typed_rows(tables: Mapping[str, pl.DataFrame], name: str, traded: pl.Series) -> pl.DataFrame:
    """Rows of the accounts that traded, which are sound, in the contract's types."""
    theirs = tables[name].filter(pl.col("account_id").is_in(traded.implode()))
    return theirs.with_columns(
        _parse(column, dtype) for column, dtype in dtypes(name).items() if column in theirs.columns
    )


def _parse(column: str, dtype: pl.DataType) -> pl.Expr:
    text = pl.col(column).cast(pl.String)
    if dtype == pl.Date:
        return text.str.to_date()
    return (text == "true").alias(column) if dtype == pl.Boolean else pl.col(column).cast(dtype)


def _replace(rows: pl.DataFrame, theirs: pl.DataFrame, traded: pl.Series) -> pl.DataFrame:
    others = rows.filter(~pl.col("account_id").is_in(traded.implode()).fill_null(value=False))
    return pl.concat([others, _as(rows, theirs)]).sort("account_id", maintain_order=True)


def _as(rows: pl.DataFrame, like: pl.DataFrame) -> pl.DataFrame:
    """Rows in the columns and types of a table as it was delivered."""
    return like.select(pl.col(name).cast(dtype) for name, dtype in rows.schema.items())


def _closed_lots(fills: BookedFills) -> pl.DataFrame:
    """``relief`` with what was really closed of each lot, ``closed``, and its ``gain_usd``; null where the cost is unknown."""
    order = fills.orders.select("order_id", "account_id", "security_id", "filled_quantity", "average_price_usd")
    queued = fills.relief.join(order, on="order_id", maintain_order="left")
    ahead = pl.col("quantity").cast(_WIDE).cum_sum().over("order_id") - pl.col("quantity").cast(_WIDE)
    left = (pl.col("filled_quantity").cast(_WIDE) - ahead).clip(lower_bound=0)
    closed = pl.min_horizontal(left, pl.col("quantity").cast(_WIDE))
    gain = pl.col("closed") * (pl.col("average_price_usd") - pl.col("unit_cost_usd")).cast(_WIDE)
    return queued.with_columns(closed=closed).with_columns(gain_usd=gain).filter(pl.col("closed") > 0)


def _lots(lots: pl.DataFrame, orders: pl.DataFrame, closed: pl.DataFrame) -> pl.DataFrame:
    sold = closed.group_by(_LOT).agg(pl.col("closed").sum())
    kept = lots.join(sold, on=_LOT, how="left", maintain_order="left").with_columns(
        quantity=(pl.col("quantity").cast(_WIDE) - pl.col("closed").fill_null(0)).cast(EXACT)
    )
    bought = orders.filter(pl.col("side") == Side.BUY).select(
        "account_id",
        "security_id",
        lot_id=pl.format("T{}", pl.col("order_id").str.head(12)),
        quantity="filled_quantity",
        unit_cost_usd="average_price_usd",
        acquired_date="last_trade_date",
        is_frozen=pl.lit(value=False),
    )
    both = pl.concat(
        [kept.filter(pl.col("quantity") > 0).select(lots.columns), bought.select(lots.columns).cast(lots.schema)]
    )
    return both.sort(_LOT)


def _cash(cash: pl.DataFrame, orders: pl.DataFrame) -> pl.DataFrame:
    sign = pl.when(pl.col("side") == Side.SELL).then(1).otherwise(-1)
    moved = orders.group_by("account_id").agg(moved=(pl.col("gross_usd").cast(_WIDE) * sign).sum())
    both = cash.join(moved, on="account_id", how="left", maintain_order="left")
    settled = (pl.col("settled_usd").cast(_WIDE) + pl.col("moved").fill_null(0)).cast(EXACT)
    return both.with_columns(settled_usd=settled).select(cash.columns)


def _gains(accounts: pl.DataFrame, closed: pl.DataFrame) -> pl.DataFrame:
    won = closed.group_by("account_id").agg(
        pl.col("gain_usd").filter(pl.col("term") == term).sum().alias(f"ytd_{term}_gain_usd_now")
        for term in ("short", "long")
    )
    both = accounts.join(won, on="account_id", how="left", maintain_order="left")
    return both.with_columns(
        (pl.col(name).cast(_WIDE) + pl.col(f"{name}_now").fill_null(0)).round(2, mode="half_to_even").cast(EXACT)
        for name in ("ytd_short_gain_usd", "ytd_long_gain_usd")
    ).select(accounts.columns)


def _trades(orders: pl.DataFrame, closed: pl.DataFrame) -> pl.DataFrame:
    gains = closed.group_by("order_id").agg(realized_gain_usd=pl.col("gain_usd").sum())
    names = dtypes("trades")
    told = orders.join(gains, on="order_id", how="left", maintain_order="left").select(
        "account_id",
        "security_id",
        "side",
        "realized_gain_usd",
        trade_date="last_trade_date",
        quantity="filled_quantity",
        price_usd="average_price_usd",
    )
    return told.select(pl.col(name).cast(dtype) for name, dtype in names.items())


def _totals(
    before: Mapping[str, pl.DataFrame], after: Mapping[str, pl.DataFrame], then: pl.DataFrame, now: pl.DataFrame
) -> pl.DataFrame:
    """What the custodian says, moved by what lots and cash moved by since."""

    def worth(tables: Mapping[str, pl.DataFrame], priced: pl.DataFrame) -> pl.DataFrame:
        price = priced.select("security_id", price=pl.col("price_usd").cast(_WIDE))
        quantity = pl.col("quantity").cast(_WIDE, strict=False).fill_null(0)
        held = tables["lots"].join(price, on="security_id").group_by("account_id")
        value = held.agg(value=(quantity * pl.col("price")).sum(), lots=pl.len().cast(pl.Int64))
        cash = tables["cash"].group_by("account_id").agg(cash=pl.col("settled_usd").cast(_WIDE, strict=False).sum())
        both = cash.join(value, on="account_id", how="full", coalesce=True)
        total = pl.col("cash").fill_null(0) + pl.col("value").fill_null(0)
        return both.select("account_id", total=total, lots=pl.col("lots").fill_null(0))

    moved = worth(after, now).join(worth(before, then), on="account_id", suffix="_then")
    told = before["account_totals"].join(moved, on="account_id", how="left", maintain_order="left")
    more = (pl.col("total") - pl.col("total_then")).fill_null(0)
    return told.select(
        "account_id",
        value_usd=(pl.col("value_usd").cast(_WIDE) + more).round(2, mode="half_to_even").cast(EXACT),
        lot_count=pl.col("lot_count").cast(pl.Int64) + (pl.col("lots") - pl.col("lots_then")).fill_null(0),
    )
