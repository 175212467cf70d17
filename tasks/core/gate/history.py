"""What tonight's rows are compared with: what each account held when it was last accepted, and the prices of the last night.

An account that was never accepted is new: nothing is compared. Nor is an account of which a lot, a trade or its cash breaks
another rule tonight: what is missing would look like a change, and the account is quarantined anyhow.

Assumptions: each account of ``accepted`` has its row in ``cash``; ``accepted_date`` is not after the as-of date.

Known limits: an account that was accepted before the last night is compared at the prices of the last night, so that a
split between the two that nobody told of reads as a change without a cause. A security's trades are those of the account as delivered: a
correction of an older trade is a change without a cause too. Both wait for a person.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

import polars as pl

from schemas.stored import INTERNAL
from schemas.units import EXACT
from tasks.core.gate.splits import SPLITS, is_price_late

QUANTITY_EXPLAINED: Final = "quantity_explained"
SPLIT_SUSPECTED: Final = "split_suspected"
BASIS_UNCHANGED: Final = "basis_unchanged"
CASH_EXPLAINED: Final = "cash_explained"
CASH_BOOKED: Final = "cash_booked"
COST_PLAUSIBLE: Final = "cost_plausible"
LOT_COUNT: Final = "lot_count_as_delivered"
TOTAL_VALUE: Final = "value_usd_as_delivered"
RESTRICTION_KEPT: Final = "restriction_kept"
HOUSEHOLD_KEPT: Final = "household_kept"
TILT_KEPT: Final = "tilt_kept"
INDEX_KEPT: Final = "direct_index_kept"
RELEASABLE: Final = frozenset(
    {
        QUANTITY_EXPLAINED,
        SPLIT_SUSPECTED,
        BASIS_UNCHANGED,
        CASH_EXPLAINED,
        CASH_BOOKED,
        COST_PLAUSIBLE,
        LOT_COUNT,
        TOTAL_VALUE,
        RESTRICTION_KEPT,
        HOUSEHOLD_KEPT,
        TILT_KEPT,
        INDEX_KEPT,
    }
)
"""Rules whose breach a person may wave through. A row that breaks its contract cannot be traded on, even with approval."""
_FRACTION_DIGITS: Final = 6
LAG_DAYS: Final = 5
"""Days by which books may follow a trade."""
HOLDING: Final = ("account_id", "security_id")
ACTED: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "account_id": pl.String,
    "security_id": pl.String,
    "words": pl.String,
    "is_rated": pl.Boolean,
    "is_exchanged": pl.Boolean,
    "is_parent": pl.Boolean,
    "unsplit_quantity": EXACT,
}
"""Grain: holding. ``words``: what is said behind its quantity of before. ``is_rated``: it is another number of shares. ``is_exchanged``: a merger
or a spin-off may have set new costs and dates. ``is_parent``: shares of another security came beside it, and a part of its cost went with them.
``unsplit_quantity``: in the shares of before."""


DUE: Final[dict[str, pl.DataType]] = {"account_id": pl.String(), "due_usd": pl.Decimal(38, 6)}
"""Grain: account."""

LATE: Final = {**INTERNAL["late_prices"], "is_told_since": pl.Boolean()}
"""Grain: security and split. ``is_told_since``: the last night did not know of it."""
RULES: Final = INTERNAL["carried_rules"]
"""Grain: restriction of an account, tilt of one (with ``asset_class`` alone), class that it holds as an index (with both), or (with ``household_id`` alone) account of a household that is managed together."""


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """How much may change without a cause; touching a limit is within it. All are fractions.

    ``max_unexplained_fraction`` (of what appeared) and ``max_unexplained_cash_fraction`` are of what the account was worth when last
    accepted, ``max_unexplained_position_fraction`` of what the holding was then, ``max_basis_change_fraction`` of the lot's unit cost then.
    """

    max_unexplained_fraction: float = 0.05
    max_unexplained_position_fraction: float = 0.06
    max_basis_change_fraction: float = 0.2
    max_unexplained_cash_fraction: float = 0.05


@dataclass(frozen=True, slots=True)
class History:
    """The night before. Rows of accounts that are not in ``accepted`` do not count."""

    lots: pl.DataFrame
    """``account_id, security_id, lot_id, quantity, unit_cost_usd, acquired_date`` as last accepted."""
    cash: pl.DataFrame
    """``account_id, settled_usd, pending_usd`` as last accepted."""
    accepted: pl.DataFrame
    """``account_id, accepted_date``: when each account was last accepted."""
    prices: pl.DataFrame
    """``security_id, price_usd`` of the last night; carried over by actions also ``unsplit_usd``, as it stood."""
    limits: HistoryLimits = field(default_factory=HistoryLimits)
    priced_date: date = date.min
    """The last night."""
    acted: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ACTED))
    """``ACTED``: holdings that corporate actions changed since."""
    due: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=DUE))
    """``DUE``: what mergers paid in cash since are to bring."""
    splits: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SPLITS))
    """``SPLITS`` that nobody told of and the whole book agrees on."""
    fills: pl.DataFrame = field(default_factory=pl.DataFrame)
    """Broker-reported fills since then that the landed trades do not show; they explain changes as trades do. Without columns: none."""
    late: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LATE))
    """``LATE``: prices of the last night that were still in shares of before a split."""
    rules: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=RULES))
    """``RULES`` that stood when each account was last accepted and are to hold still."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Tonight beside the night before, for the accounts that are compared."""

    accounts: pl.DataFrame
    """``account_id, accepted_date``."""
    tonight: Mapping[str, pl.DataFrame]
    """Landed rows of these accounts: ``accounts``, ``lots``, ``cash``, ``trades``, ``flows``."""
    then: Mapping[str, pl.DataFrame]
    """``lots`` and ``cash`` of these accounts as last accepted."""
    prices: pl.DataFrame
    """``security_id, price_usd, price_then_usd, price_factor, is_cash``; a price is null where one of the nights has none. ``is_late``: tonight's is in
    shares of before a split that was told."""
    limits: HistoryLimits
    as_of: date
    acted: pl.DataFrame
    due: pl.DataFrame
    splits: pl.DataFrame


def compare(
    tonight: Mapping[str, pl.DataFrame], accounts: pl.DataFrame, prices: pl.DataFrame, history: History, as_of: date
) -> Comparison:
    """Tonight's rows beside the night before.

    Parameters
    ----------
    tonight
        Landed ``accounts``, ``lots``, ``cash``, ``trades`` and ``flows``.
    accounts
        ``account_id`` of those whose rows are sound, without nulls.
    prices
        ``security_id, price_usd, price_factor, is_cash`` that the gate accepted.
    history
        The night before.
    as_of
        The night's date.
    """
    compared = history.accepted.join(accounts, on="account_id", how="semi")
    unsplit = pl.col("unsplit_usd" if "unsplit_usd" in history.prices.columns else "price_usd")
    then = history.prices.select("security_id", price_then_usd="price_usd", unsplit_usd=unsplit)
    is_held = pl.col("quantity") > 0
    tonight = {**tonight, "lots": tonight["lots"].filter(is_held)}
    tonight = {**tonight, "trades": pl.concat([tonight["trades"], history.fills], how="diagonal_relaxed")}
    return Comparison(
        accounts=compared,
        tonight={table: rows.join(compared, on="account_id", how="semi") for table, rows in tonight.items()},
        then={
            table: rows.join(compared, on="account_id", how="semi")
            for table, rows in {"lots": history.lots.filter(is_held), "cash": history.cash}.items()
        },
        prices=prices.select("security_id", "price_usd", "price_factor", "is_cash")
        .join(then, on="security_id", how="full", coalesce=True)
        .with_columns(
            pl.col("price_factor").fill_null(1),
            pl.col("is_cash").fill_null(value=False),
            is_late=is_price_late(pl.col("price_usd"), pl.col("price_then_usd"), pl.col("unsplit_usd")),
        ),
        limits=history.limits,
        as_of=as_of,
        acted=history.acted,
        due=history.due,
        splits=history.splits,
    )


def values_then(comparison: Comparison, accounts: pl.DataFrame) -> pl.DataFrame:
    """``account_id, value_usd`` of the accounts when last accepted: lots at the last night's prices, settled and pending cash.

    A lot without such a price counts nothing: limits are never looser for what is not known.
    """
    lots = comparison.then["lots"].join(accounts, on="account_id", how="semi")
    held = lots.join(comparison.prices, on="security_id", how="left").select(
        "account_id", value_usd=pl.col("quantity") * pl.col("price_then_usd") * pl.col("price_factor")
    )
    cash = comparison.then["cash"].join(accounts, on="account_id", how="semi")
    owned = cash.select("account_id", value_usd=pl.col("settled_usd") + pl.col("pending_usd"))
    return pl.concat([held, owned], how="vertical_relaxed").group_by("account_id").agg(pl.col("value_usd").sum())


def first_traded_day() -> pl.Expr:
    """The first day of which trades may explain a change since ``accepted_date``."""
    return pl.col("accepted_date") - timedelta(days=LAG_DAYS)


def share(fraction: float, of: pl.Expr) -> pl.Expr:
    """An exact fraction of an exact number; the fraction counts to a millionth."""
    return of * pl.lit(Decimal(str(round(fraction, _FRACTION_DIGITS))))


def plain(column: str) -> pl.Expr:
    """An exact number as text without trailing zeros; null reads as empty."""
    text = pl.col(column).cast(pl.String).str.replace(r"(\.[0-9]*?)0+$", "${1}").str.strip_suffix(".")
    return text.fill_null("empty")
