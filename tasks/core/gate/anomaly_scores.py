"""How unusual an account's change of value is, against its own history: a score for people to look at, which decides nothing.

1. What the account would be worth without trading: last accepted lots at tonight's prices, cash then, and what the
   flows announced then have brought since.
2. Trades since add what they gained or lost between their price and tonight's.
3. The residual is what it is worth beyond that, over what it was worth when last accepted, in basis points.
4. The score is the modified z-score of Iglewicz and Hoaglin (How to Detect and Handle Outliers, 1993): the distance from the
   median of its last residuals in units of 1.4826 median absolute deviations. They suggest to look at what is beyond 3.5.

A holding whose quantity changed while its value hardly did (a split) counts as unchanged.

Known limits: dividends, fees and unannounced flows are in the residual, as they should be: what an account has
every quarter soon belongs to its usual spread. The spread is at least ``LEAST_SPREAD_BPS``, so that an account that never had
a residual is not alarmed by a cent.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

from schemas.tables import PUBLIC, USD
from tasks.core.gate.history import History

NIGHTS: Final = 20
"""How many of an account's last residuals count."""
FEWEST_NIGHTS: Final = 5
"""Least nights for a score."""
LEAST_SPREAD_BPS: Final = 1.0
UNUSUAL: Final = 3.5
"""Scores beyond it, on either side, are shown to people."""
_NORMAL: Final = 1.4826
_SPLIT_TOLERANCE: Final = 0.25
_BPS: Final = 1e4


def anomalies(
    tonight: Mapping[str, pl.DataFrame], prices: pl.DataFrame, history: History, recent: pl.DataFrame
) -> pl.DataFrame:
    """Rows of the table ``anomalies``: one for each account of the history, sorted.

    Parameters
    ----------
    tonight
        ``lots``, ``cash`` and ``trades`` of accounts that passed the gate; an account without a row in ``cash`` did not,
        and keeps what is known of it.
    prices
        ``security_id, price_usd`` of the night.
    history
        What each account held when it was last accepted.
    recent
        ``account_id, recent_bps``: its last residuals, the newest last, joined by a bar.
    """
    accounts = history.accepted.join(tonight["cash"].select("account_id"), on="account_id", how="semi")
    change = (
        accounts.join(_holdings(tonight["lots"], prices, history), on="account_id", how="left")
        .join(_trade_gains(tonight["trades"], prices, accounts), on="account_id", how="left")
        .join(tonight["cash"].select("account_id", "settled_usd", "pending_usd"), on="account_id")
        .join(history.cash.select("account_id", was_settled="settled_usd", was_pending="pending_usd"), on="account_id")
        .with_columns(pl.col("value_usd", "was_value_usd", "expected_usd", "traded_usd").fill_null(0).cast(pl.Float64))
        .with_columns(pl.col("settled_usd", "pending_usd", "was_settled", "was_pending").cast(pl.Float64))
    )
    worth, was_worth = pl.col("value_usd") + pl.col("settled_usd"), pl.col("was_value_usd") + pl.col("was_settled")
    beyond = worth - pl.col("expected_usd") - pl.col("was_settled") - pl.col("traded_usd")
    residuals = change.filter(was_worth > 0).select(
        "account_id", residual_bps=((beyond - _arrived_flows(beyond)) / was_worth * _BPS).round(2)
    )
    scored = (
        history.accepted.select("account_id")
        .join(residuals, on="account_id", how="left")
        .join(recent.select("account_id", "recent_bps"), on="account_id", how="left")
        .with_columns(past=_numbers(pl.col("recent_bps")))
    )
    return (
        scored.with_columns(nights=pl.col("past").list.len().cast(pl.Int64), score=_score())
        .with_columns(recent_bps=_with_tonight())
        .select(PUBLIC["anomalies"].keys())
        .sort("account_id")
    )


def anomaly_sentence(residual_bps: float | None, score: float | None, nights: int) -> str | None:
    """What a person reads of an account's night where it is unusual; null where it is not, or there are too few nights."""
    if residual_bps is None or score is None or abs(score) <= UNUSUAL:
        return None
    direction = "more" if residual_bps > 0 else "less"
    return (
        f"It is worth {abs(residual_bps) / _BPS:.2%} {direction} than prices, trades and announced flows explain: "
        f"{abs(score):.1f} times its usual spread over the last {nights} nights. This decides nothing."
    )


def _arrived_flows(change: pl.Expr) -> pl.Expr:
    """What of the flows announced then has arrived, or left: what is not announced any more.

    Where more is announced now, the new part is unknown: then as much has arrived as explains the change.
    """
    then, now = pl.col("was_pending"), pl.col("pending_usd")
    least, most = pl.min_horizontal(then, 0), pl.max_horizontal(then, 0)
    is_more = ((then > 0) & (now > then)) | ((then < 0) & (now < then))
    return pl.when(is_more).then(change.clip(least, most)).otherwise(then - now.clip(least, most))


def _holdings(lots: pl.DataFrame, prices: pl.DataFrame, history: History) -> pl.DataFrame:
    """``account_id``; value tonight, value when last accepted, and value tonight of what was held then."""
    key = ["account_id", "security_id"]
    now = lots.group_by(key).agg(quantity=pl.col("quantity").sum())
    then = history.lots.group_by(key).agg(was_quantity=pl.col("quantity").sum())
    was_price = history.prices.select("security_id", was_price="price_usd")
    both = (
        now.join(then, on=key, how="full", coalesce=True)
        .join(prices.select("security_id", "price_usd"), on="security_id", how="left")
        .join(was_price, on="security_id", how="left")
        .with_columns(pl.col("quantity", "was_quantity").fill_null(0).cast(pl.Float64))
        .with_columns(pl.col("price_usd", "was_price").cast(pl.Float64))
        .with_columns(price_usd=pl.coalesce("price_usd", "was_price"), was_price=pl.coalesce("was_price", "price_usd"))
    )
    value, was_value = pl.col("quantity") * pl.col("price_usd"), pl.col("was_quantity") * pl.col("was_price")
    is_split = ((pl.col("price_usd") / pl.col("was_price") - 1).abs() > _SPLIT_TOLERANCE) & (
        (value / was_value - 1).abs() <= _SPLIT_TOLERANCE
    )
    untouched = pl.when(is_split).then(value).otherwise(pl.col("was_quantity") * pl.col("price_usd"))
    return (
        both.with_columns(value_usd=value, was_value_usd=was_value, expected_usd=untouched)
        .sort(key)
        .group_by("account_id", maintain_order=True)
        .agg(pl.col("value_usd", "was_value_usd", "expected_usd").cast(USD).sum())
    )


def _trade_gains(trades: pl.DataFrame, prices: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """``account_id, traded_usd``: what trades since gained or lost between their price and tonight's."""
    since = trades.join(accounts, on="account_id").filter(pl.col("trade_date") > pl.col("accepted_date"))
    sign = pl.when(pl.col("side") == "buy").then(1.0).otherwise(-1.0)
    tonight = prices.select("security_id", now_usd="price_usd")
    gain = sign * pl.col("quantity").cast(pl.Float64) * (pl.col("now_usd") - pl.col("price_usd")).cast(pl.Float64)
    return (
        since.join(tonight, on="security_id")
        .select("account_id", traded_usd=gain.cast(USD))
        .group_by("account_id")
        .agg(pl.col("traded_usd").sum())
    )


def _numbers(joined: pl.Expr) -> pl.Expr:
    numbers = joined.str.split("|").list.eval(pl.element().cast(pl.Float64, strict=False)).list.drop_nulls()
    return numbers.fill_null(pl.lit([], dtype=pl.List(pl.Float64)))


def _score() -> pl.Expr:
    """Null where there are too few nights, or none tonight."""
    middle = pl.col("past").list.median()
    spread = _NORMAL * pl.col("past").list.eval((pl.element() - pl.element().median()).abs().median()).list.first()
    score = (pl.col("residual_bps") - middle) / spread.clip(lower_bound=LEAST_SPREAD_BPS)
    return pl.when(pl.col("past").list.len() >= FEWEST_NIGHTS).then(score)


def _with_tonight() -> pl.Expr:
    """The last residuals with tonight's at the end, as text."""
    tonight = pl.concat_list("residual_bps").list.drop_nulls()
    texts = pl.concat_list("past", tonight).list.tail(NIGHTS).list.eval(pl.element().cast(pl.String))
    return texts.list.join("|")
