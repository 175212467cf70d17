"""What a simulated broker says of an export's orders in one session: acknowledgements, fills, rejections, cancellations, busts, corrections.

1. Some orders are rejected. Of the others ``prices`` says how much is filled and at which price.
2. A fill comes in one to three parts of about the same size, each a report.
3. Of some orders the last part is busted. Of some others the first part is told at a price that is off, and corrected to the right one.
4. At the end of the session what is not filled is cancelled: orders are for the day. A busted part is not filled again.

What happens to an order is drawn from the seed and its own name, whatever other orders there are; how much of it is filled, and at
which price, depends on all orders in its security. Every report is known by an id that begins with ``SIMULATED`` and names its order, so that a
broker that is asked twice says the same, or contradicts itself where it is asked with another seed.

Known limits: reports name orders, never blocks. Nothing is replaced or suspended, and no order lasts longer than its day. The session is taken
to end at 13:00 of New York, as half days do.
"""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from schemas.enums import ExecutionKind
from schemas.executions import EXECUTIONS, SIMULATED
from schemas.units import EXACT
from tasks.core.broker.prices import asked_prices, exact

ORDERS: Final[dict[str, pl.DataType]] = {
    **{name: pl.String() for name in ("order_id", "account_id", "side", "symbol", "security_id")},
    "quantity": EXACT,
    "price_usd": EXACT,
}
"""Orders as they left; ``price_usd`` is the reference price."""
MARKET: Final[dict[str, pl.DataType]] = {
    "security_id": pl.String(),
    "half_spread_bps": pl.Float64(),
    "daily_volatility": pl.Float64(),
    "daily_volume": pl.Float64(),
}
"""The market of a session: volatility is a fraction, volume is in shares."""
REPORTS: Final[dict[str, pl.DataType]] = {
    name: dtype for name, dtype in EXECUTIONS.items() if name not in {"row_number", "raw"}
}
_OPEN: Final = time(9, 30)
_SECONDS: Final = 3 * 3600
"""From the open to when the last part is filled, at most."""
_LATER: Final = timedelta(minutes=15)
"""After the open and those seconds: busts and corrections. As much later: cancellations."""
_NEW_YORK: Final = ZoneInfo("America/New_York")
_MOST_PARTS: Final = 3
_MOST_OFF: Final = 0.02
"""How far a price that is corrected was off, at most: a fraction."""
_DRAWS: Final = ("rejected", "parts", "busted", "corrected", "off", "first", "pace")
"""What is drawn for each order, uniformly from 0 to 1."""


@dataclass(frozen=True, slots=True)
class BrokerModel:
    """How a simulated broker fills. Rates are fractions of orders.

    ``participation``: the part of a day's volume that it fills at most. ``impact``: Y of the square-root law, see ``prices``.
    """

    participation: float = 0.025
    impact: float = 1.0
    reject_rate: float = 0.01
    bust_rate: float = 0.005
    correct_rate: float = 0.01


def day_of(
    orders: pl.DataFrame, market: pl.DataFrame, model: BrokerModel, *, seed: int, trade_date: date
) -> pl.DataFrame:
    """``REPORTS`` of all orders, by time and id.

    Parameters
    ----------
    orders
        ``ORDERS``, each once.
    market
        ``MARKET``, a row for each of their securities.
    model
        How it fills.
    seed
        Whole number; the same seed says the same of an order.
    trade_date
        The session.
    """
    drawn = orders.hstack(_draws(orders["order_id"], seed))
    is_rejected = pl.col("rejected") < model.reject_rate
    accepted = asked_prices(
        drawn.filter(~is_rejected), market, participation=model.participation, impact=model.impact
    ).with_columns(
        is_busted=pl.col("busted") < model.bust_rate,
        is_corrected=(pl.col("corrected") < model.correct_rate) & (pl.col("busted") >= model.bust_rate),
    )
    parts = _parts(accepted)
    rejected = drawn.filter(is_rejected)
    found = [
        _reports(rejected, ExecutionKind.REJECTED, "R", _moment(trade_date, _first())),
        _reports(accepted, ExecutionKind.ACKNOWLEDGED, "A", _moment(trade_date, _first())),
        _fills(parts, trade_date),
        _changes(parts, trade_date),
        _reports(
            _unfilled(accepted, parts), ExecutionKind.CANCELLED, "X", _moment(trade_date, pl.lit(_SECONDS), 2 * _LATER)
        ),
    ]
    return pl.concat(found).sort("executed_at", "execution_id")


def _draws(names: pl.Series, seed: int) -> pl.DataFrame:
    """A column for each of ``_DRAWS``: the hash of seed and name, eight bytes a draw."""
    digests = b"".join(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=64).digest() for name in names)
    numbers = np.frombuffer(digests, "<u8").reshape(names.len(), 8)[:, : len(_DRAWS)]
    return pl.DataFrame((numbers >> np.uint64(11)) * 2.0**-53, schema=dict.fromkeys(_DRAWS, pl.Float64))


def _parts(accepted: pl.DataFrame) -> pl.DataFrame:
    """Accepted orders part by part, with ``part`` from 1, ``part_count`` and ``part_quantity``; those of which something is filled."""
    steps = pl.col("available_units") // pl.col("step_units")
    wished = 1 + (pl.col("parts") * _MOST_PARTS).floor().cast(pl.Int64)
    some = accepted.with_columns(steps=steps).filter(pl.col("steps") > 0)
    some = some.with_columns(part_count=pl.min_horizontal(wished, "steps"))
    each = some.with_columns(part=pl.int_ranges(1, pl.col("part_count") + 1)).explode("part")
    upto, before = (pl.col("steps") * place // pl.col("part_count") for place in (pl.col("part"), pl.col("part") - 1))
    return each.with_columns(part_quantity=exact((upto - before) * pl.col("step_units")))


def _fills(parts: pl.DataFrame, trade_date: date) -> pl.DataFrame:
    """A fill for each part; the first of an order that is corrected is off in price."""
    share = (pl.col("first") + pl.col("part") * pl.col("pace")) / (1 + pl.col("part_count"))
    off = 1 + _MOST_OFF * (2 * pl.col("off") - 1)
    wrong = (pl.col("fill_price_usd").cast(pl.Float64) * off).clip(0.000001).round(6, mode="half_to_even").cast(EXACT)
    is_wrong = pl.col("is_corrected") & (pl.col("part") == 1)
    return _reports(
        parts,
        ExecutionKind.FILL,
        pl.format("F{}", "part"),
        _moment(trade_date, 60 + share * (_SECONDS - 60)),
        quantity="part_quantity",
        price_usd=pl.when(is_wrong).then(wrong).otherwise("fill_price_usd"),
        trade_date=pl.lit(trade_date),
    )


def _changes(parts: pl.DataFrame, trade_date: date) -> pl.DataFrame:
    """The bust of a last part, or the correction of a first one."""
    at = _moment(trade_date, pl.lit(_SECONDS), _LATER)
    named = parts.with_columns(reference_id=_name(pl.format("F{}", "part")))
    busted = named.filter("is_busted", pl.col("part") == pl.col("part_count"))
    corrected = named.filter("is_corrected", pl.col("part") == 1)
    same: dict[str, pl.Expr | str] = {
        "quantity": "part_quantity",
        "reference_id": "reference_id",
        "trade_date": pl.lit(trade_date),
    }
    return pl.concat(
        [
            _reports(busted, ExecutionKind.BUST, "B", at, price_usd="fill_price_usd", **same),
            _reports(corrected, ExecutionKind.CORRECT, "C", at, price_usd="fill_price_usd", **same),
        ]
    )


def _unfilled(accepted: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Accepted orders of which something is not filled in the end."""
    stands = ~(pl.col("is_busted") & (pl.col("part") == pl.col("part_count")))
    filled = parts.filter(stands).group_by("order_id").agg(filled=pl.col("part_quantity").sum())
    both = accepted.join(filled, on="order_id", how="left", maintain_order="left")
    return both.filter(pl.col("filled").fill_null(0) < pl.col("quantity"))


def _first() -> pl.Expr:
    """Within the first minute."""
    return pl.col("first") * 59


def _moment(trade_date: date, seconds: pl.Expr, later: timedelta = timedelta(0)) -> pl.Expr:
    """Whole seconds after the open of New York, in UTC."""
    start = datetime.combine(trade_date, _OPEN, _NEW_YORK)
    whole = pl.duration(seconds=seconds.floor().cast(pl.Int64))
    return (pl.lit(start + later).dt.convert_time_zone("UTC") + whole).cast(EXECUTIONS["executed_at"])


def _name(end: pl.Expr | str) -> pl.Expr:
    return pl.format(SIMULATED + "{}-{}", "order_id", pl.lit(end) if isinstance(end, str) else end)


def _reports(
    rows: pl.DataFrame, kind: ExecutionKind, end: pl.Expr | str, at: pl.Expr, **cells: pl.Expr | str
) -> pl.DataFrame:
    """``REPORTS`` of orders, or of their parts; ``end``: of the ids; ``cells``: what the kind has beyond the order."""
    named = {name: pl.col(cell) if isinstance(cell, str) else cell for name, cell in cells.items()}
    has = {name: pl.lit(None) for name in ("quantity", "price_usd", "fees_usd", "trade_date", "reference_id")} | named
    of_order = {name: pl.col(name) for name in ("account_id", "symbol", "security_id", "side")}
    of_report = {"execution_id": _name(end), "kind": pl.lit(str(kind)), "client_order_id": pl.col("order_id")}
    texts = {"executed_at": at, "text": pl.lit("simulated")}
    return rows.select(**{**of_report, **of_order, **has, **texts}).select(REPORTS.keys()).cast(REPORTS)  # type: ignore[arg-type]
