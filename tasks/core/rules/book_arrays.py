"""The solver's arrays of accounts, classes and lots: whole accounts, in the order of their rows."""

import numpy as np
import polars as pl

from tasks.core.solver import Book, Floats, Ints, Limits
from tasks.core.tax import is_taxed


def to_arrays(accounts: pl.DataFrame, classes: pl.DataFrame, lots: pl.DataFrame) -> tuple[Book, Limits]:
    """Flat arrays of the three frames, whole accounts in the order of ``account_row`` and ``class_row``."""
    floor = pl.max_horizontal("min_trade_usd", pl.col("min_trade_weight") * pl.col("nav_usd").cast(pl.Float64))
    book = Book(
        nav=_floats(accounts, "governed_nav_usd"),
        tracking_penalty=_floats(accounts, "tracking_penalty"),
        cash=_floats(accounts, "start_cash_usd"),
        cash_target=_floats(accounts, "cash_target_usd"),
        min_trade=_floats(accounts, floor),
        class_start=starts(accounts["account_row"], classes["account_row"]),
        class_value=_floats(classes, "start_value_usd"),
        class_target=_floats(classes, "destination_usd"),
        buy_cap=_floats(classes, "buy_cap_usd"),
        buy_cost=_floats(classes, "buy_cost"),
        buy_spread=_floats(classes, "buy_spread"),
        buy_price=_floats(classes, pl.col("buy_unit_usd").fill_null(1)),
        buy_step=_floats(classes, pl.col("buy_step").fill_null(1)),
        lot_start=starts(classes["class_row"], lots["class_row"]),
        lot_quantity=_floats(lots, "start_quantity"),
        lot_price=_floats(lots, pl.when(pl.col("unit_usd") > 0).then("unit_usd").otherwise(1.0)),
        lot_step=_floats(lots, "quantity_step"),
        lot_spread=_floats(lots, "spread"),
        lot_cost=_floats(lots, pl.col("spread") - pl.col("location")),
        lot_cap=_floats(lots, pl.when(pl.col("lock").is_null()).then("cap_usd").otherwise(0.0)),
        lot_security=_codes(lots["security_id"]),
    )
    return book, _limits(accounts, classes, lots)


def _limits(accounts: pl.DataFrame, classes: pl.DataFrame, lots: pl.DataFrame) -> Limits:
    rates = [
        _floats(accounts, pl.when(is_taxed()).then(rate).otherwise(0.0))
        for rate in ("short_term_rate", "long_term_rate")
    ]
    return Limits(
        turnover=_floats(accounts, "turnover_cap_usd"),
        gain=_floats(accounts, "gain_cap_usd"),
        short_before=_floats(accounts, "short_before_usd"),
        long_before=_floats(accounts, "long_before_usd"),
        short_rate=rates[0],
        long_rate=rates[1],
        max_orders=accounts["max_orders"].cast(pl.Int64).to_numpy(),
        slack=_floats(accounts, "fewest_trades_usd"),
        useful=_floats(accounts, "useful_usd"),
        class_min=_floats(classes, "class_min_usd"),
        loss_room=_floats(classes, "loss_room_usd"),
        lot_gain=_floats(lots, "gain"),
        lot_is_short=lots["is_short"].to_numpy(),
        lot_rank=_acquired(lots),
        lot_outside=_floats(lots, "outside_quantity"),
        lot_inside=_floats(lots, pl.min_horizontal("inside_quantity", pl.col("quantity").cast(pl.Float64))),
        lot_outright=_floats(lots, "outright"),
    )


def _acquired(lots: pl.DataFrame) -> Ints:
    """Place of each lot in the order in which all were acquired; of the same day by id, unknown days last."""
    order = (
        lots.select("acquired_date", "lot_id")
        .with_row_index("row")
        .sort("acquired_date", "lot_id", "row", nulls_last=True)
    )
    rank = np.empty(len(lots), np.int64)
    rank[order["row"].to_numpy()] = np.arange(len(lots))
    return rank


def _codes(names: pl.Series) -> Ints:
    """A number for each name, in the order of the names."""
    return names.cast(pl.Enum(names.unique().sort())).to_physical().cast(pl.Int64).to_numpy()


def _floats(frame: pl.DataFrame, column: str | pl.Expr) -> Floats:
    expr = pl.col(column) if isinstance(column, str) else column
    return frame.select(expr.cast(pl.Float64)).to_series().to_numpy()


def starts(parents: pl.Series, children: pl.Series) -> Ints:
    """Offsets (parents + 1) of each parent's children: row numbers of the parents, and each child's parent's, both ascending."""
    first = np.searchsorted(children.to_numpy(), parents.to_numpy())
    return np.append(first, len(children)).astype(np.int64)
