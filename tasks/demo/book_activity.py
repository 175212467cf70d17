"""What happened lately in the sample book: cash, lots as a custodian reports them, restrictions and trades.

Every lot bought within the span of the table of trades has its purchase there. Sales are of securities that the account
holds, at the close of their date; the gain is against the close of an earlier date, so 2022 leaves plenty of losses.
"""

from typing import Final

import numpy as np
import polars as pl

from schemas.landing_columns import dtypes
from schemas.units import EXACT
from tasks.demo.book_accounts import ACTIVE, words
from tasks.demo.book_holdings import unit_costs
from tasks.demo.book_reference import RARELY_BOUGHT, SYMBOLS
from tasks.demo.book_types import MICRO, AccountDraw, DailyCloses, Flags, Floats, Ints, LotDraw, exact, shares

CONTRIBUTION_SHARE: Final = 0.03
WITHDRAWAL_SHARE: Final = 0.02
OVERDRAWN_SHARE: Final = 0.003
UNKNOWN_BASIS_SHARE: Final = 0.0015
ZERO_COST_SHARE: Final = 0.0005
RESTRICTED_SHARE: Final = 0.04
MEAN_SALES: Final = 0.8
"""Sales of an account that traded lately."""
LOT_IDS: Final = tuple(f"L{sequence:03d}" for sequence in range(1, 1000))
FROZEN_LOT_SHARE: Final = 0.002
RULES: Final = ("no_sell", "no_buy", "no_trade", "no_new", "hold_range")
RULE_SHARES: Final = (0.44, 0.26, 0.18, 0.06, 0.06)
LARGEST_HOLDING: Final = 0.05
"""Share of the account's value that a holding with an upper limit may have."""


def cash_frame(rng: np.random.Generator, accounts: AccountDraw, weights: Floats, ids: pl.Series) -> pl.DataFrame:
    """Return the landing table ``cash``: what the weights leave over, on top of the reserve; some accounts expect a flow."""
    count, nav = len(accounts), accounts.nav_usd
    invested = weights.sum(axis=1)
    settled = np.where(invested > 0, (1 - invested) * nav + accounts.cash_reserve_usd, 0.0)
    fate = np.where((accounts.status == ACTIVE) & (invested > 0), rng.random(count), 1.0)
    overdrawn_from = CONTRIBUTION_SHARE + WITHDRAWAL_SHARE
    is_overdrawn = (fate >= overdrawn_from) & (fate < overdrawn_from + OVERDRAWN_SHARE)
    settled = np.where(is_overdrawn, -rng.uniform(0.0002, 0.004, count) * nav, settled)
    flow = np.where(fate < CONTRIBUTION_SHARE, rng.uniform(0.01, 0.15, count), -rng.uniform(0.01, 0.10, count))
    pending = np.where(fate < overdrawn_from, flow * nav, 0.0)
    return pl.DataFrame(
        {
            "account_id": ids,
            "settled_usd": exact(pl.Series(settled.round(2))),
            "pending_usd": exact(pl.Series(pending.round(2))),
        }
    )


def lots_frame(rng: np.random.Generator, market: DailyCloses, lots: LotDraw, ids: pl.Series) -> pl.DataFrame:
    """Return the landing table ``lots``; of a few, cost or date or both are unknown, and a few were given for nothing."""
    fate = pl.Series(rng.random(len(lots.account)))
    cost = exact(pl.Series(unit_costs(market, lots)))
    is_costless = fate.is_between(1 - ZERO_COST_SHARE, 1)
    frame = pl.DataFrame(
        {
            "account_id": ids.gather(pl.Series(lots.account)),
            "security_id": words(SYMBOLS, lots.security),
            "lot_id": words(LOT_IDS, lots.sequence),
            "quantity": shares("quantity", lots.micros),
            "unit_cost_usd": cost.set(is_costless, 0).set(fate < UNKNOWN_BASIS_SHARE, None),
            "acquired_date": _days(market, lots.day).set(
                fate.is_between(UNKNOWN_BASIS_SHARE / 2, 1.5 * UNKNOWN_BASIS_SHARE), None
            ),
            "is_frozen": rng.spawn(1)[0].random(len(lots.account)) < FROZEN_LOT_SHARE,
        }
    )
    return frame.select(*dtypes("lots"))


def totals_frame(market: DailyCloses, lots: LotDraw, lots_table: pl.DataFrame, cash: pl.DataFrame) -> pl.DataFrame:
    """Return the landing table ``account_totals``: what the lots come to at the last close, settled cash, and how many lots there are."""
    price = exact(pl.Series(market.closes[-1, lots.security]))
    held = (
        pl.DataFrame({"account": lots.account, "value_usd": lots_table["quantity"].cast(pl.Decimal(38, 6)) * price})
        .group_by("account")
        .agg(pl.col("value_usd").sum(), lot_count=pl.len().cast(pl.Int64))
    )
    account = pl.int_range(cash.height, dtype=pl.Int64, eager=True).alias("account")
    rows = cash.select("account_id", account, "settled_usd").join(held, on="account", how="left", maintain_order="left")
    return rows.select(
        "account_id",
        value_usd=(pl.col("value_usd").fill_null(0) + pl.col("settled_usd")).round(2).cast(EXACT),
        lot_count=pl.col("lot_count").fill_null(0),
    )


def restrictions_frame(
    rng: np.random.Generator, market: DailyCloses, accounts: AccountDraw, lots: LotDraw, ids: pl.Series
) -> pl.DataFrame:
    """One row for some accounts, mostly about a holding of theirs. ``until_date``: none, past, the as-of date or to come."""
    lot = _one_lot_each(rng, lots, np.flatnonzero(rng.random(len(accounts)) < RESTRICTED_SHARE))
    rule = rng.choice(len(RULES), len(lot), p=RULE_SHARES)
    anything = rng.integers(len(SYMBOLS), size=len(lot))
    security = np.where(np.isin(rule, (RULES.index("no_buy"), RULES.index("no_new"))), anything, lots.security[lot])
    until = rng.choice((-40, 0, 90, 400), len(lot), p=(0.3, 0.1, 0.4, 0.2)) + rng.integers(30, size=len(lot))
    until = np.where(rng.random(len(lot)) < 0.1, 0, until)  # noqa: PLR2004
    until_date = pl.Series(market.dates[-1] + until.astype("timedelta64[D]"))
    return pl.DataFrame(
        {
            "account_id": ids.gather(pl.Series(lots.account[lot])),
            "security_id": words(SYMBOLS, security),
            "rule": words(RULES, rule),
            "until_date": until_date.set(pl.Series(rng.random(len(lot)) < 0.5), None),  # noqa: PLR2004
            **_limits(accounts, lots.take(lot), is_range=np.equal(rule, RULES.index("hold_range"))),
        }
    )


def _limits(accounts: AccountDraw, lots: LotDraw, *, is_range: Flags) -> dict[str, pl.Series]:
    """What is kept of a security: by turns the lot at least, the lot at most, or a share of the account at most, with a least or without."""
    nav, turn = accounts.nav_usd[lots.account], np.cumsum(is_range) % 4

    def where(name: str, values: Floats, *turns: int) -> pl.Series:
        return exact(pl.Series(name, values)).set(pl.Series(~(is_range & np.isin(turn, turns))), None)

    return {
        "min_quantity": where("min_quantity", lots.micros / MICRO, 1),
        "max_quantity": where("max_quantity", lots.micros / MICRO, 2),
        "min_value_usd": where("min_value_usd", (LARGEST_HOLDING / 5 * nav).round(-2), 3),
        "max_value_usd": where("max_value_usd", (LARGEST_HOLDING * nav).round(-2), 0, 3),
    }


def firm_restrictions() -> pl.DataFrame:
    """One security that no account may buy."""
    rows = [{"account_id": None, "security_id": RARELY_BOUGHT, "rule": "no_buy", "until_date": None}]
    return pl.DataFrame(rows, schema=dtypes("restrictions"))


def trades_frame(
    rng: np.random.Generator, market: DailyCloses, accounts: AccountDraw, lots: LotDraw, ids: pl.Series
) -> pl.DataFrame:
    """Return the landing table ``trades``: purchases of recent lots and sales, sorted by account, date and security."""
    bought = lots.take(lots.day >= market.recent_from)
    sold, bought_on = _draw_sales(rng, market, accounts, lots)
    gain = (unit_costs(market, sold) - market.closes[bought_on, sold.security]) * sold.micros / MICRO
    buys = _trades(market, bought, ids).with_columns(side=pl.lit("buy"), realized_gain_usd=pl.lit(None))
    sells = _trades(market, sold, ids).with_columns(
        side=pl.lit("sell"), realized_gain_usd=exact(pl.Series(gain.round(2)))
    )
    names = dtypes("trades")
    frames = [frame.select(pl.col(name).cast(dtype) for name, dtype in names.items()) for frame in (buys, sells)]
    return pl.concat(frames).sort("account_id", "trade_date", "security_id", "side", maintain_order=True)


def _draw_sales(
    rng: np.random.Generator, market: DailyCloses, accounts: AccountDraw, lots: LotDraw
) -> tuple[LotDraw, Ints]:
    """Sales written as lots, ``day`` being the date of the sale, and when each was bought."""
    times = rng.poisson(MEAN_SALES, len(accounts)) * accounts.is_trading
    lot = _one_lot_each(rng, lots, np.repeat(np.arange(len(accounts)), times))
    security = lots.security[lot]
    day = rng.integers(market.recent_from, len(market.dates), size=len(lot))
    bought_on = np.maximum(day - rng.integers(20, 500, size=len(lot)), market.first_priced[security])
    micros = np.maximum(lots.micros[lot] // MICRO, 1) * MICRO
    return LotDraw(lots.account[lot], security, day, np.zeros_like(day), micros), bought_on


def _one_lot_each(rng: np.random.Generator, lots: LotDraw, owners: Ints) -> Ints:
    """Row of a random lot for each account named, as often as it is named; none for an account without lots."""
    first, end = (np.searchsorted(lots.account, owners, side) for side in ("left", "right"))
    row = first + (rng.random(len(owners)) * (end - first)).astype(np.int64)
    return row[end > first]


def _trades(market: DailyCloses, lots: LotDraw, ids: pl.Series) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "account_id": ids.gather(pl.Series(lots.account)),
            "security_id": words(SYMBOLS, lots.security),
            "trade_date": _days(market, lots.day),
            "quantity": shares("quantity", lots.micros),
            "price_usd": exact(pl.Series(unit_costs(market, lots))),
        }
    )


def _days(market: DailyCloses, day: Ints) -> pl.Series:
    return pl.Series(market.dates).cast(pl.Date).gather(pl.Series(day))
