"""Who the sample book's accounts are: households, custodians, tax, model, policy and size.

Sizes are lognormal with a median of 150,000 USD. Small accounts follow the models of funds, of which thousandths can be
bought; a few dozen whole shares could not be kept within bands. Accounts of a household are neighbours.
"""

from typing import Final

import numpy as np
import polars as pl

from schemas.landing_columns import dtypes
from tasks.demo.book_policies import POLICY_IDS, POLICY_SHARES
from tasks.demo.book_reference import FUND_MODELS, MIXED_MODELS, MODEL_IDS
from tasks.demo.book_types import AccountDraw, Floats, Ints, exact

CUSTODIANS: Final = ("northbank", "harbor", "summit", "lakeside", "ironwood")
TAX_STATUSES: Final = ("taxable", "tax_deferred", "tax_exempt")
STATUSES: Final = ("active", "frozen", "closed")
TAXABLE: Final = 0
ACTIVE: Final = 0
CLOSED: Final = 2
BRACKETS: Final = ((0.22, 0.0), (0.22, 0.15), (0.24, 0.15), (0.32, 0.15), (0.35, 0.15), (0.37, 0.20))
"""Short- and long-term rate."""

MEDIAN_NAV_USD: Final = 150_000.0
NAV_SPREAD: Final = 1.25
SMALLEST_NAV_USD: Final = 5_000.0
LARGEST_NAV_USD: Final = 80_000_000.0
SMALL_ACCOUNT_USD: Final = 40_000.0
TRADING_SHARE: Final = 0.08
CARRYFORWARD_SHARE: Final = 0.08
HOUSEHOLD_SIZES: Final = (1, 2, 3, 4, 5)
HOUSEHOLD_SHARES: Final = (0.80, 0.10, 0.055, 0.025, 0.02)
"""Of the households; 1 is an account that is alone. Some 40 % of accounts come to share one."""


def draw_accounts(rng: np.random.Generator, *, first: int, count: int) -> AccountDraw:
    """``count`` accounts numbered from ``first``."""
    nav = MEDIAN_NAV_USD * np.exp(NAV_SPREAD * rng.standard_normal(count))
    nav = np.clip(nav, SMALLEST_NAV_USD * (1 + rng.random(count)), LARGEST_NAV_USD)
    rates = np.array(BRACKETS)[rng.choice(len(BRACKETS), count, p=(0.08, 0.22, 0.30, 0.16, 0.12, 0.12))]
    number = np.arange(first, first + count)
    return AccountDraw(
        number=number,
        household=_households(rng, number),
        custodian=rng.choice(len(CUSTODIANS), count, p=(0.32, 0.26, 0.20, 0.14, 0.08)),
        tax_status=rng.choice(len(TAX_STATUSES), count, p=(0.6, 0.3, 0.1)),
        model=_models(rng, nav),
        policy=rng.choice(len(POLICY_IDS), count, p=POLICY_SHARES),
        status=rng.choice(len(STATUSES), count, p=(0.987, 0.010, 0.003)),
        short_term_rate=rates[:, 0],
        long_term_rate=rates[:, 1],
        cash_reserve_usd=_reserves(rng, nav),
        nav_usd=nav,
        is_trading=rng.random(count) < TRADING_SHARE,
    )


def account_ids(number: Ints, *, width: int) -> pl.Series:
    """``A0000001`` and so on."""
    return "A" + pl.Series("account_id", number).cast(pl.String).str.zfill(width)


def accounts_frame(rng: np.random.Generator, accounts: AccountDraw, *, width: int) -> pl.DataFrame:
    """Return the landing table ``accounts``; gains realized this year only where they are taxed."""
    is_taxed = (accounts.tax_status == TAXABLE) & (rng.random(len(accounts)) < 0.5)  # noqa: PLR2004
    short, long = (rng.normal(mean, 0.015, len(accounts)) * accounts.nav_usd * is_taxed for mean in (-0.003, 0.006))
    carried = _carryforwards(rng.spawn(1)[0], accounts)
    household = household_ids(accounts.household, width=width)
    frame = pl.DataFrame(
        {
            "account_id": account_ids(accounts.number, width=width),
            "household_id": household.set(pl.Series(accounts.household == 0), None),
            "custodian": words(CUSTODIANS, accounts.custodian),
            "tax_status": words(TAX_STATUSES, accounts.tax_status),
            "model_id": words(MODEL_IDS, accounts.model),
            "policy_id": words(POLICY_IDS, accounts.policy),
            "status": words(STATUSES, accounts.status),
            "short_term_rate": accounts.short_term_rate,
            "long_term_rate": accounts.long_term_rate,
            "cash_reserve_usd": exact(pl.Series(accounts.cash_reserve_usd)),
            "ytd_short_gain_usd": exact(pl.Series(short.round(2))),
            "ytd_long_gain_usd": exact(pl.Series(long.round(2))),
            "loss_carryforward_short_usd": _some_usd(carried[:, 0]),
            "loss_carryforward_long_usd": _some_usd(carried[:, 1]),
        },
    )
    return frame.select(*dtypes("accounts"), currency=pl.lit("USD"))


def household_ids(household: Ints, *, width: int) -> pl.Series:
    """``H0000001`` and so on, after the household's first account."""
    return "H" + pl.Series("household_id", household).cast(pl.String).str.zfill(width)


def words(known: tuple[str, ...], positions: Ints) -> pl.Series:
    """Return the word at each position."""
    return pl.Series(known).gather(pl.Series(positions).cast(pl.UInt32))


def _households(rng: np.random.Generator, number: Ints) -> Ints:
    sizes = rng.choice(HOUSEHOLD_SIZES, len(number), p=HOUSEHOLD_SHARES)
    member_of = np.repeat(np.arange(len(sizes)), sizes)[: len(number)]
    size = np.bincount(member_of)[member_of]
    first = number[np.searchsorted(member_of, member_of)]
    return np.where(size > 1, first, 0)


def _carryforwards(rng: np.random.Generator, accounts: AccountDraw) -> Floats:
    """Losses of earlier years, short and long, of a few taxable accounts; 0: none."""
    has_losses = (accounts.tax_status == TAXABLE) & (rng.random(len(accounts)) < CARRYFORWARD_SHARE)
    losses = rng.exponential(0.02, (len(accounts), 2)) * accounts.nav_usd[:, None]
    return np.asarray(losses * has_losses[:, None] * (rng.random(losses.shape) < (0.5, 0.9)))


def _some_usd(amounts: Floats) -> pl.Series:
    """Money to the cent, null where there is none."""
    return exact(pl.Series(amounts.round(2))).set(pl.Series(amounts == 0), None)


def _models(rng: np.random.Generator, nav: Floats) -> Ints:
    fund_share = np.where(nav < SMALL_ACCOUNT_USD, 1.0, 0.12)
    in_funds = rng.choice(FUND_MODELS, len(nav))
    mixed = rng.choice(MIXED_MODELS, len(nav), p=(0.08, 0.11, 0.14, 0.19, 0.19, 0.09, 0.13, 0.07))
    return np.where(rng.random(len(nav)) < fund_share, in_funds, mixed)


def _reserves(rng: np.random.Generator, nav: Floats) -> Floats:
    reserve = rng.choice((500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0), len(nav))
    return np.where((rng.random(len(nav)) < 0.08) & (reserve < 0.05 * nav), reserve, 0.0)  # noqa: PLR2004
