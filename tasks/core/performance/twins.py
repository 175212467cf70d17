"""The twin: what an account would be had it been kept under a reference policy from its first night on, with lots, cash, gains and tax of its own.

It begins as the account stands on a night: the same lots, the same cash. Then, night by night,

1. what came into the account or out of it, paid in or earned beside prices, comes into the twin as cash, shares in kind at their price;
2. its lots are carried over by corporate actions, as the account's are;
3. it trades by the reference policy, with the night's own engine, at the night's prices, half a spread off (``book_trades``). ``never`` trades nothing.

The two differ by, in USD since the twin began, each the account's less the twin's:

    pre-liquidation   = tax alpha + cost difference + market difference             (what they are worth, tax taken off)
    tax alpha         = tax that the twin's gains accrued - tax that the account's did
    cost difference   = half spreads that the twin paid - those that the account paid
    market difference = value of the account - value of the twin, + own cost - twin's cost       what was held did better or worse
    post-liquidation  = pre-liquidation - tax deferred
    tax deferred      = what a sale of everything tonight would owe, the account's less the twin's

So what a harvest saved stands in the tax alpha, and how much of that is only put off in the tax deferred. ``drift_difference`` is one-way drift, the account's less
the twin's, a fraction.

Known limits: the twin buys no alternate and harvests nothing, whatever its policy says. A loss that a purchase of its own disallows does not count, and does not
move to the shares bought either. A split that nobody told of is known by
the account's own holding: where it sold all of the security before, the twin's shares stay as they were.
"""

from typing import Final

import polars as pl

from schemas.enums import Side
from schemas.stored import INTERNAL
from schemas.tables import PUBLIC, USD
from schemas.units import EXACT
from tasks.core.performance.after_tax import year_tax

LOTS: Final = INTERNAL["twin_lots"]
STATE: Final = INTERNAL["twin_state"]
TERMS: Final = ("short", "long")
SUMS: Final = ("tax_total_usd", "own_tax_total_usd", "cost_total_usd", "own_cost_total_usd")


def begun_states(accounts: pl.DataFrame) -> pl.DataFrame:
    """Columns of ``twin_state`` of accounts whose twin begins: ``accounts`` with ``account_id, night_date, cash_usd``, the year's gains and losses carried forward."""
    return accounts.select(
        "account_id",
        "night_date",
        twin_since_date="night_date",
        cash_usd="cash_usd",
        **{f"year_{term}_usd": pl.col(f"ytd_{term}_gain_usd").cast(USD) for term in TERMS},
        **{f"carried_{term}_usd": pl.col(f"loss_carryforward_{term}_usd").fill_null(0).cast(USD) for term in TERMS},
        **dict.fromkeys(SUMS, pl.lit(0.0)),
    )


def in_new_year(states: pl.DataFrame) -> pl.DataFrame:
    """States of before with a year's gains netted and its losses carried on (26 USC 1212(b)); every row is of a night of an earlier year."""
    nets = {term: pl.col(f"year_{term}_usd") - pl.col(f"carried_{term}_usd") for term in TERMS}
    nothing = pl.lit(0, USD)
    left = {
        term: -pl.min_horizontal(nets[term] + pl.max_horizontal(nets[other], nothing), nothing)
        for term, other in (TERMS, TERMS[::-1])
    }
    return states.with_columns(
        **{f"carried_{term}_usd": left[term].cast(USD) for term in TERMS},
        **{f"year_{term}_usd": nothing for term in TERMS},
    )


def with_moved(states: pl.DataFrame, moved: pl.DataFrame) -> pl.DataFrame:
    """States with what came in: ``account_id, moved_usd, own_tax_usd, own_cost_usd`` of the night of each account."""
    joined = states.join(moved, on="account_id", how="left", maintain_order="left")
    return joined.with_columns(
        cash_usd=pl.col("cash_usd") + pl.col("moved_usd").fill_null(0),
        own_tax_total_usd=pl.col("own_tax_total_usd") + pl.col("own_tax_usd").fill_null(0.0),
        own_cost_total_usd=pl.col("own_cost_total_usd") + pl.col("own_cost_usd").fill_null(0.0),
    ).drop("moved_usd", "own_tax_usd", "own_cost_usd")


def after_splits(lots: pl.DataFrame, splits: pl.DataFrame) -> pl.DataFrame:
    """Lots after splits that nobody told of, ``account_id, security_id, ratio``: so many shares stand for one, at as much less a share."""
    ratio = pl.col("ratio").fill_null(1.0)
    changes = {
        name: pl.when(pl.col("ratio").is_null()).then(name).otherwise(value.round(6).cast(EXACT))
        for name, value in (
            ("quantity", pl.col("quantity").cast(pl.Float64) * ratio),
            ("unit_cost_usd", pl.col("unit_cost_usd").cast(pl.Float64) / ratio),
        )
    }
    joined = lots.join(splits, on=["account_id", "security_id"], how="left", maintain_order="left")
    return joined.with_columns(**changes).drop("ratio")


def book_trades(
    lots: pl.DataFrame, states: pl.DataFrame, orders: pl.DataFrame, relief: pl.DataFrame, realized: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lots and states after orders at their prices, half a spread off.

    Parameters
    ----------
    lots
        ``twin_lots`` of the night.
    states
        ``twin_state``.
    orders, relief
        As the tables of the night; a purchase makes a lot at its price, named after the order.
    realized
        ``account_id, short, long``: gains that count.

    Returns
    -------
    tuple[pl.DataFrame, pl.DataFrame]
        Nothing is lost: shares of each security are those of before and what was bought less what was sold, and cash is that of before and what sales brought less
        what purchases and half spreads cost.
    """
    key = ["account_id", "security_id", "lot_id"]
    sold = relief.group_by(key).agg(gone=pl.col("quantity").sum())
    kept = (
        lots.join(sold, on=key, how="left", maintain_order="left")
        .with_columns(quantity=(pl.col("quantity") - pl.col("gone").fill_null(0)).cast(EXACT))
        .filter(pl.col("quantity") > 0)
    )
    nights = states.select("account_id", "night_date")
    bought = orders.filter(pl.col("side") == Side.BUY).join(nights, on="account_id")
    fresh = bought.select(
        "account_id",
        "night_date",
        "security_id",
        "quantity",
        lot_id="order_id",
        unit_cost_usd="price_usd",
        acquired_date="night_date",
    )
    signed = pl.when(pl.col("side") == Side.SELL).then(pl.col("value_usd")).otherwise(-pl.col("value_usd"))
    paid = orders.group_by("account_id").agg(net_usd=signed.sum(), spent_usd=pl.col("est_cost_usd").sum())
    after = (
        states.join(paid, on="account_id", how="left", maintain_order="left")
        .join(realized, on="account_id", how="left", maintain_order="left")
        .with_columns(pl.col("net_usd", "spent_usd").fill_null(0), pl.col("short", "long").fill_null(0.0))
        .with_columns(
            cash_usd=pl.col("cash_usd") + pl.col("net_usd") - pl.col("spent_usd"),
            cost_total_usd=pl.col("cost_total_usd") + pl.col("spent_usd").cast(pl.Float64),
            **{f"year_{term}_usd": pl.col(f"year_{term}_usd") + pl.col(term).round(6).cast(USD) for term in TERMS},
        )
    )
    columns = [name for name in LOTS if name in kept.columns]
    return pl.concat([kept.select(columns), fresh.select(columns)]).sort(key), after.select(states.columns)


def with_tax(states: pl.DataFrame, accounts: pl.DataFrame, tax_then: pl.DataFrame) -> pl.DataFrame:
    """States with the tax that the night accrued added to ``tax_total_usd``, and ``year_tax_usd``.

    Parameters
    ----------
    states
        Of tonight, trades booked.
    accounts
        ``account_id, tax_status, short_term_rate, long_term_rate``.
    tax_then
        ``account_id, tax_then_usd``: tax on the year's gains at the night before, 0 where the year is new.
    """
    rows = states.join(accounts, on="account_id", how="left", maintain_order="left").join(
        tax_then, on="account_id", how="left", maintain_order="left"
    )
    tax = year_tax(*(_net(term) for term in TERMS))
    return (
        rows.with_columns(year_tax_usd=tax)
        .with_columns(
            tax_total_usd=pl.col("tax_total_usd") + pl.col("year_tax_usd") - pl.col("tax_then_usd").fill_null(0.0)
        )
        .select(*states.columns, "year_tax_usd")
    )


def year_taxes(states: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """``account_id, tax_then_usd``: tax on the year's gains of states; ``accounts`` as of ``with_tax``."""
    rows = states.join(accounts, on="account_id")
    return rows.select("account_id", tax_then_usd=year_tax(*(_net(term) for term in TERMS)))


def _net(term: str) -> pl.Expr:
    return (pl.col(f"year_{term}_usd") - pl.col(f"carried_{term}_usd")).cast(pl.Float64)


def twin_rows(
    states: pl.DataFrame, values: pl.DataFrame, owed: pl.DataFrame, own: pl.DataFrame, drifts: pl.DataFrame
) -> pl.DataFrame:
    """Rows of the table ``twins``; sorted.

    Parameters
    ----------
    states
        ``twin_state`` of tonight.
    values
        ``account_id, lots_usd``: what the twin's lots are worth.
    owed
        ``account_id, twin_owed_usd``: tax on a sale of everything of the twin.
    own
        ``account_id, own_value_usd, own_owed_usd``: the account.
    drifts
        ``account_id, own_drift, twin_drift``: one-way.
    """
    rows = (
        states.join(values, on="account_id", how="left", maintain_order="left")
        .join(owed, on="account_id", how="left", maintain_order="left")
        .join(own, on="account_id", maintain_order="left")
        .join(drifts, on="account_id", how="left", maintain_order="left")
        .with_columns(value_usd=pl.col("lots_usd").fill_null(0) + pl.col("cash_usd"))
        .with_columns(
            tax_alpha_usd=pl.col("tax_total_usd") - pl.col("own_tax_total_usd"),
            cost_difference_usd=pl.col("cost_total_usd") - pl.col("own_cost_total_usd"),
            gap=(pl.col("own_value_usd") - pl.col("value_usd")).cast(pl.Float64),
            tax_deferred_usd=pl.col("own_owed_usd") - pl.col("twin_owed_usd").fill_null(0.0),
            drift_difference=pl.col("own_drift") - pl.col("twin_drift"),
        )
        .with_columns(market_difference_usd=pl.col("gap") - pl.col("cost_difference_usd"))
        .with_columns(pre_liquidation_usd=pl.col("gap") + pl.col("tax_alpha_usd"))
        .with_columns(post_liquidation_usd=pl.col("pre_liquidation_usd") - pl.col("tax_deferred_usd"))
    )
    money = [name for name, dtype in PUBLIC["twins"].items() if dtype == USD and rows.schema[name] == pl.Float64]
    return rows.with_columns(pl.col(money).round(6).cast(USD)).select(PUBLIC["twins"].keys()).sort("account_id")
