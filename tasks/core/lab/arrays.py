"""What the lab's engine is given and what it answers: markets, policies and accounts as arrays.

A *path* is one course of the market; a policy on a path is an account. P paths, T steps (step t goes from date t to date t + 1), C classes, N policies. Where K accounts
of a firm are tried, each course is K paths: path p is account p % K on course p // K. S securities at most of an account, each of a class and moving as it does.
Dollars; rates and returns are fractions per step unless a name says otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import numpy as np

from schemas.policy import Policy
from tasks.core.solver import Flags, Floats, Ints

DAILY, MONTHLY, QUARTERLY, ANNUAL = "daily", "monthly", "quarterly", "annual"
LOOKS: Final = (DAILY, MONTHLY, QUARTERLY, ANNUAL)
"""How often an account is looked at: on every date, or on the last date of each period."""


@dataclass(frozen=True)
class Market:
    """Courses of the market. ``growth`` (P, T, C): price after a step over price before it, at which accounts hold and trade.

    ``dividend_yield`` (C): paid in cash at each step's end, as a share of the value then (0: the prices are of total return).
    ``risk_free`` (P, T): return of bills, for Sharpe's ratio.
    """

    dates: Sequence[date]
    """T + 1, ascending; the first is the day on which the accounts begin."""
    classes: Sequence[str]
    growth: Floats
    dividend_yield: Floats
    risk_free: Floats
    steps_per_year: float
    """12 or 252."""


@dataclass(frozen=True)
class LabPolicy:
    """A policy under trial: how often it looks, its bands (the same for every class; null: none), and the policy of the night."""

    look: str
    policy: Policy
    absolute_band: float | None = None
    relative_band: float | None = None


@dataclass(frozen=True)
class Terms:
    """The account that every policy is tried on: it begins as cash and is invested in its targets on the first date."""

    nav_usd: float
    targets: Floats
    """(C), which sum to 1."""
    half_spread_bps: Floats
    """(C), of a dollar bought or sold."""
    quantity_step: float = 1e-6
    """Least part of a unit that can be traded: 1 for whole shares, of which one is worth 100 USD on the first date."""
    short_term_rate: float = 0.0
    long_term_rate: float = 0.0
    is_taxed: bool = False
    alternates: int = 0
    """Securities of each class that stand in for its first: alike but in name, so that one may be bought where another was sold at a loss."""
    flow_usd: Floats = field(default_factory=lambda: np.zeros(0))
    """(T) cash paid in (or out) at each step's end; empty: none."""


@dataclass(frozen=True)
class Holders:
    """Accounts as they stand on the first date; K of them, S securities each, of which those that an account lacks are of class -1."""

    names: Sequence[str]
    class_of: Ints
    """(K, S), in order of class."""
    price: Floats
    """(K, S) usd of a unit on the first date."""
    spread: Floats
    """(K, S) half spread, fraction of a dollar."""
    step: Floats
    """(K, S) least part of a unit that can be traded."""
    choice: Ints
    """(K, S) place on the buy list of its class, from 1; 0: it is never bought."""
    can_sell: Flags
    """(K, S)."""
    target: Floats
    """(K, C + 1), the last of cash."""
    has_cash_band: Flags
    """(K) whether cash is held to a band as a class is."""
    location: Floats
    """(K, C) what a dollar of a class costs in such an account (``location_preferences``), as a fraction."""
    rates: Floats
    """(K, 2) of short-term and long-term gains; 0 where an account pays no tax."""
    is_taxed: Flags
    cash: Floats
    """(K) usd that the model governs."""
    gains: Floats
    """(K, 2) short and long, usd, of the year so far."""
    carried: Floats
    """(K, 2) losses carried forward, positive."""
    lot_start: Ints
    """(K + 1) where each account's lots begin."""
    lot_security: Ints
    """Which of its account's securities a lot is of; lots in order of acquisition."""
    lot_units: Ints
    """Millionths."""
    lot_cost: Floats
    """Usd a unit."""
    lot_date: Sequence[date]
    flow_usd: Floats
    """(T) cash paid in (or out) of each at each step's end; empty: none."""
    begins_in_cash: bool = False
    """Whether they are invested on the first date, whatever the policy."""


GAP_LIMITS: Final = (1e-6, 0.01, 0.1, 1.0)
"""Basis points within which solves are counted."""
MEASURES: Final = (
    "wealth",  # usd on the last date, before what a sale of everything would cost and owe
    "wealth_liquidated",  # after it
    "growth",  # product of (1 + time-weighted return) over all steps
    "return_mean",  # of a step's time-weighted return
    "return_m2",  # its sum of squared deviations from the mean
    "excess_mean",  # of a step's return less that of bills
    "excess_m2",
    "drawdown",  # deepest, as a positive fraction of the peak before it
    "tracking_m2",  # sum of squares of a step's return less that of the targets held exactly, without cost
    "drift_sum",  # one-way drift at the end of each step, before any trade, summed
    "drift_squares",  # its squares, summed
    "events",  # dates after the first on which anything traded
    "orders",
    "turnover",  # buys + sales over twice the NAV of the day, summed over events
    "cost",  # usd of half spreads, first purchase included
    "tax",  # usd paid, or (at the end) owed on what is realized
    "realized_short",  # usd, net of losses, after the wash-sale rule
    "realized_long",
    "unused_losses",  # usd carried beyond the last date
    "harvested",  # usd of losses that count, of lots that were harvested
    "deferred_tax",  # usd that a sale of everything on the last date would owe
    "gap_sum",  # of the gaps of all solves, basis points of NAV
    "gap_max",
    "solves",
    "gaps_0",  # solves whose gap is within each of GAP_LIMITS
    "gaps_1",
    "gaps_2",
    "gaps_3",
    "proposals_auto",  # looks whose trades policy would approve; 0 where routes are not counted
    "proposals_one",  # those that one person would look at
    "proposals_two",  # those that would need two
)
"""What is measured of an account, in this order; each a float."""


@dataclass(frozen=True)
class Measured:
    """Answers: ``values`` (N, P, measures) in the order of ``MEASURES``; ``weight_sum`` (N, P, C), weights at each step's end, summed.

    ``by_year`` (N, P, years, 4): product of (1 + return), sum of squared one-way drift, turnover and tax of each calendar year of the
    dates, the first year being that of the first step's end.
    """

    values: Floats
    weight_sum: Floats
    by_year: Floats

    def of(self, measure: str) -> Floats:
        """(N, P) of one measure."""
        return self.values[:, :, MEASURES.index(measure)]


def look_flags(dates: Sequence[date], look: str) -> Flags:
    """(T) whether the end of each step is a date on which an account is looked at: the last of its period among the dates.

    The last date of all is one: of a period that is cut short it is the last there is.
    """
    if look == DAILY:
        return np.ones(len(dates) - 1, np.bool_)
    months = {MONTHLY: 1, QUARTERLY: 3, ANNUAL: 12}[look]
    period = np.array([(each.year * 12 + each.month - 1) // months for each in dates[1:]])
    return np.append(period[1:] != period[:-1], True)
