"""The wash-sale rule over a history, share by share: which shares bought replaced which shares sold at a loss.

The rule (26 U.S.C. 1091; Treas. Reg. 1.1091-1 and -2; Internal Revenue Service, Publication 550, "Wash Sales"), for one
household and security:

1. A loss is disallowed on as many shares as the household buys from ``wash_sale_days`` before the sale to as many days after
   it, both days included, in whichever account: a purchase in an account that pays no tax disallows too.
2. Each share bought replaces one share sold, once. Loss sales are taken in order of date, each with the purchases in its
   window in order of date (then by account).
3. A share is never replaced by the lot it belongs to: what an account bought of a security on one day is one lot here (Rev. Rul.
   56-602: what is kept of a purchase does not disallow the loss on the rest).
4. The loss disallowed is added to the basis of the shares that replaced it; where those are in an account that pays no
   tax it is lost (Rev. Rul. 2008-5).

Shares are counted in millionths, exactly.

Known limits: "substantially identical" means the same security; holding periods are not carried over.
"""

from collections.abc import Collection
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numba import njit

from schemas.enums import Side
from schemas.units import EXACT
from tasks.core.facts import rounded_usd
from tasks.core.solver import Ints

GROUP: Final = ("household_key", "security_id", "wash_sale_days")
"""Within it shares replace one another."""
MILLIONTHS: Final = 10**6
DAYS: Final = 10**7
"""More than there are: account * this + day names a lot."""
BEFORE: Final = -1
"""Lot of shares that no purchase of the history bought."""
NOBODYS: Final = -2
"""Lot of an order that is not filled: nothing of it can have been sold."""


def disallow_losses(events: pl.DataFrame, *, wash_sale_days: int = 30, untaxed: Collection[str] = ()) -> pl.DataFrame:
    """The whole history of one household and security, with what each loss loses and each purchase gains in basis.

    Parameters
    ----------
    events
        ``date, account_id, side, quantity, gain_usd`` (null for buys) and ``acquired_date``: one row a purchase, and one row
        a sale of one lot, with the date that lot was bought (null: before the history).
    wash_sale_days
        Days on either side of a loss sale.
    untaxed
        Accounts that pay no tax: their sales have no loss, their purchases disallow the losses of the others for good.

    Returns
    -------
    pl.DataFrame
        ``events`` in their order with ``disallowed_usd``, the part of a sale's loss that does not count (>= 0), and
        ``basis_usd``, what is added to the basis of a purchase; both 0 where there is nothing.
    """
    rows = events.with_row_index("event").with_columns(
        *(pl.lit(value).alias(name) for name, value in zip(GROUP, ("", "", wash_sale_days), strict=True)),
        units=units(),
        is_pending=pl.lit(value=False),
    )
    is_taxed = ~pl.col("account_id").is_in(list(untaxed))
    is_sale = pl.col("side") == Side.SELL
    order = ("date", "account_id", "acquired_date", "units", "gain_usd")
    is_loss = is_sale & is_taxed & (pl.col("gain_usd") < 0)
    sales, purchases = with_codes(*(rows.filter(which).sort(order, nulls_last=True) for which in (is_loss, ~is_sale)))
    sold = sales.select(sale="event", gain_usd="gain_usd", sold="units")
    found = (
        matches(sales, purchases).join(sold, on="sale", maintain_order="left").with_columns(loss_usd=_loss_of_match())
    )
    lost = found.group_by(event="sale").agg(disallowed_usd=pl.col("loss_usd").sum())
    added = found.group_by(event="purchase").agg(basis_usd=pl.col("loss_usd").sum())
    return (
        rows.join(lost, on="event", how="left", maintain_order="left")
        .join(added, on="event", how="left", maintain_order="left")
        .with_columns(pl.col("disallowed_usd").fill_null(0), basis_usd=pl.when(is_taxed).then("basis_usd").fill_null(0))
        .select(*events.columns, "disallowed_usd", "basis_usd")
    )


def units() -> pl.Expr:
    """``quantity`` in millionths of a share, exact."""
    return pl.col("quantity").cast(EXACT).to_physical().cast(pl.Int64)


def with_codes(sales: pl.DataFrame, purchases: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Both, in order of ``group`` and else as they come, with ``group`` and ``account``: numbers from 1 in order of their names."""
    both = pl.concat([frame.select(*GROUP, "account_id") for frame in (sales, purchases)])
    groups = both.select(GROUP).unique().sort(GROUP).with_row_index("group", 1)
    accounts = both.select("account_id").unique().sort("account_id").with_row_index("account", 1)
    numbers = pl.col("group", "account").cast(pl.Int64)
    numbered = (
        frame.join(groups, on=GROUP, maintain_order="left").join(accounts, on="account_id", maintain_order="left")
        for frame in (sales, purchases)
    )
    coded_sales, coded_purchases = (
        frame.with_columns(numbers).sort("group", maintain_order=True) for frame in numbered
    )
    return coded_sales, coded_purchases


def by_lot_closed(sales: pl.DataFrame, purchases: pl.DataFrame) -> pl.DataFrame:
    """Sales cut by ``acquired_date`` of the shares sold: first what the account's own purchases no longer hold, then (null) the rest."""
    day = _day("date")
    needs = sales.select("group", "units", first=day - pl.col("wash_sale_days"), last=day, key="account")
    own = _match_units(needs, purchases.select("group", day=day, key="account", units="sold_units"), is_same=True)
    closed = own.select(
        units="units", event=sales["event"].gather(own["need"]), acquired_date=purchases["date"].gather(own["offer"])
    )
    rest = (
        sales.join(closed.group_by("event").agg(closed=pl.col("units").sum()), on="event", how="left")
        .with_columns(units=pl.col("units") - pl.col("closed").fill_null(0), acquired_date=pl.lit(None, pl.Date))
        .drop("closed")
        .filter(pl.col("units") > 0)
    )
    parts = closed.join(sales.drop("units"), on="event").select(rest.columns)
    return pl.concat([parts, rest]).sort("event", "acquired_date", nulls_last=True)


def matches(sales: pl.DataFrame, purchases: pl.DataFrame) -> pl.DataFrame:
    """``sale, purchase, units`` (events): which shares bought replaced which shares sold, in order.

    Both frames with codes and in the order in which they are matched; ``sales`` with ``acquired_date``.
    """
    day, window = _day("date"), pl.col("wash_sale_days")
    own = (pl.col("account") * DAYS + _day("acquired_date")).fill_null(BEFORE)
    lot = pl.when("is_pending").then(NOBODYS).otherwise(pl.col("account") * DAYS + day)
    needs = sales.select("group", "units", first=day - window, last=day + window, key=own)
    found = _match_units(needs, purchases.select("group", "units", day=day, key=lot), is_same=False)
    sale, purchase = sales["event"].gather(found["need"]), purchases["event"].gather(found["offer"])
    return found.select(sale=sale, purchase=purchase, units="units")


def _day(name: str) -> pl.Expr:
    return pl.col(name).to_physical().cast(pl.Int64)


def _loss_of_match() -> pl.Expr:
    """Dollars of the sale's loss that fall on the match; matches of a sale add up to the loss on the shares matched."""
    so_far = pl.col("units").cum_sum().over("sale")
    loss = -pl.col("gain_usd").cast(pl.Float64) * (1.0 / pl.col("sold"))
    return rounded_usd(loss * so_far) - rounded_usd(loss * (so_far - pl.col("units")))


class Needs(NamedTuple):
    """Shares sold at a loss, in order; group g has those from ``start[g]`` to ``start[g + 1]``. Days, millionths of a share."""

    start: Ints
    first: Ints
    last: Ints
    key: Ints
    units: Ints


class Offers(NamedTuple):
    """Shares bought, as ``Needs``."""

    start: Ints
    day: Ints
    key: Ints
    units: Ints


def _match_units(needs: pl.DataFrame, offers: pl.DataFrame, *, is_same: bool) -> pl.DataFrame:
    """``need, offer`` (row numbers) and ``units``; the frames have the columns of ``Needs`` and ``Offers``, sorted by ``group``."""
    numbers = np.concatenate([needs["group"].to_numpy(), offers["group"].to_numpy()])
    groups = np.arange(1, numbers.max(initial=0) + 2)

    def arrays(frame: pl.DataFrame, names: tuple[str, ...]) -> list[Ints]:
        start = np.searchsorted(frame["group"].to_numpy(), groups)
        return [
            np.require(array, np.int64, ["C", "W"]) for array in (start, *(frame[name].to_numpy() for name in names))
        ]

    found = _take(Needs(*arrays(needs, Needs._fields[1:])), Offers(*arrays(offers, Offers._fields[1:])), is_same)
    return pl.DataFrame(dict(zip(("need", "offer", "units"), found, strict=True)))


@njit(cache=True, nogil=True)
def _take(  # pragma: no cover - compiled: what runs is not this text
    needs: Needs,
    offers: Offers,
    is_same: bool,  # noqa: FBT001 - compiled
) -> tuple[Ints, Ints, Ints]:
    """Each need in turn takes what is left of the offers of its group and days whose key is, or is not, its own."""
    left = offers.units.copy()
    size = len(left) + len(needs.units)
    need_of, offer_of, taken = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    count = 0
    for group in range(len(needs.start) - 1):
        for need in range(needs.start[group], needs.start[group + 1]):
            missing = needs.units[need]
            for offer in range(offers.start[group], offers.start[group + 1]):
                is_inside = needs.first[need] <= offers.day[offer] <= needs.last[need]
                is_open = is_inside and (offers.key[offer] == needs.key[need]) == is_same
                quantity = min(missing, left[offer]) if is_open else 0
                if quantity > 0:
                    need_of[count], offer_of[count], taken[count] = need, offer, quantity
                    missing, left[offer], count = missing - quantity, left[offer] - quantity, count + 1
    return need_of[:count], offer_of[:count], taken[:count]
