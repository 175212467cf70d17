"""Tax on an account's net gains, and the prices it puts on lots.

With S the net short-term and L the net long-term gain of the year (losses carried forward taken off), each taxed at its rate
(26 USC 1222, 1(h)):

    T(S, L) = rs S + rl L     both gains            rl max(S + L, 0)     net short loss, long gain
              0               both losses           rs max(S + L, 0)     net long loss, short gain

T is not convex, but it is the lesser of two functions that are. With ``hi`` the term of the higher rate and ``lo`` the other:

    taxed    A = (r_hi - r_lo) max(hi, 0) + r_lo max(S + L, 0)         = T where the lo term is a gain, above it elsewhere
    offset   B = r_hi max(S + L, 0)                                    = T where the lo term is a loss, above it elsewhere

so the best trades under T are the better of the best under A and under B, and the lesser of their two bounds holds. Both are
maxima of linear functions, so the dual has two prices, ``a`` on the gain of the hi term and ``b`` on the sum:
``0 <= a <= r_hi - r_lo`` and ``0 <= b <= r_lo`` (``a = 0``, ``b <= r_hi`` under B), each at its end while its sum is not zero:
what a dollar of gain costs at the margin, and a dollar of loss saves, is ``a + b`` or ``b``.

Known limits: the deduction of up to 3,000 USD of net loss from other income (26 USC 1211) is not counted.
"""

from typing import Final

from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.workspace import Workspace

TAXED_SIDE: Final = 0
"""The lo term ends as a gain: problem A."""
OFFSET_SIDE: Final = 1
"""The lo term ends as a loss: problem B."""


@compile_inner
def tax_on(short: float, long: float, short_rate: float, long_rate: float) -> float:
    """T, usd."""
    if short >= 0 and long >= 0:
        return short_rate * short + long_rate * long
    if short < 0 and long < 0:
        return 0.0
    return max(short + long, 0.0) * (long_rate if short < 0 else short_rate)


@compile_inner
def tax_of(work: Workspace, account: int, short: float, long: float) -> float:
    """Tax, usd, that net gains ``short`` and ``long`` make more than those before the trades."""
    account_row = work.accounts[account]
    rs, rl = account_row.short_rate, account_row.long_rate
    if rs == 0 and rl == 0:
        return 0.0
    return tax_on(short, long, rs, rl) - tax_on(account_row.short_before, account_row.long_before, rs, rl)


@compile_inner
def least_gains(work: Workspace, account: int) -> tuple[float, float]:
    """S and L after the trades in the workspace, usd, were as many losses allowed as ever can be."""
    account_row = work.accounts[account]
    short, long = account_row.short_before, account_row.long_before
    for lot in range(account_row.first_lot, account_row.last_lot):
        lot_row = work.lots[lot]
        gain = lot_row.gain_low * lot_row.sold_usd
        if lot_row.is_short:
            short += gain
        else:
            long += gain
    return short, long


@compile_inner
def needed_sides(work: Workspace, account: int) -> tuple[bool, bool]:
    """Whether the lo term can end as a gain (A is needed), and as a loss (B is needed)."""
    account_row = work.accounts[account]
    rs, rl = account_row.short_rate, account_row.long_rate
    if rs == rl:
        return True, False
    is_lo_short = rs < rl
    least = account_row.short_before if is_lo_short else account_row.long_before
    most = least
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        lost = 0.0
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            if bool(lot_row.is_short) == is_lo_short:
                most += max(lot_row.gain_low, 0.0) * lot_row.open_cap
                lost -= min(lot_row.gain_low, 0.0) * lot_row.open_cap
        least -= lost
    return most >= 0 or least >= 0, least < 0


@compile_inner
def price_ends(work: Workspace, account: int, side: int) -> tuple[float, float]:
    """The greatest ``a`` and ``b``."""
    account_row = work.accounts[account]
    rs, rl = account_row.short_rate, account_row.long_rate
    if side == OFFSET_SIDE:
        return 0.0, max(rs, rl)
    return abs(rs - rl), min(rs, rl)


@compile_inner
def rates_at(work: Workspace, account: int, a: float, b: float) -> tuple[float, float]:
    """What a dollar of short-term and of long-term gain costs at the prices ``a`` and ``b``."""
    account_row = work.accounts[account]
    if account_row.short_rate >= account_row.long_rate:
        return a + b, b
    return b, a + b
